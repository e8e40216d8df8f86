"""Real database servers for tests, each in a folder of its own and on a free port of 127.0.0.1."""

import contextlib
import importlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
WATCH = """read -r _  # returns when the process of the tests has ended, for whatever reason
group="-$(cat "$0/pid")"
kill -s "$1" -- "$group"
for _ in $(seq 100); do kill -s 0 -- "$group" || break; sleep 0.1; done
kill -s KILL -- "$group"
rm -rf "$0"
"""


class Server:
    """A database server. If the tests are killed, a watcher process stops the server and removes its folder."""

    def __init__(self, parent: Path | str | None = None) -> None:
        self.parent = Path(parent or tempfile.gettempdir())
        self.folder = self.process = None

    def start(self) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="srv-", dir=self.parent)), free_port()
        watch = ("sh", "-c", WATCH, self.folder, self.stop_signal.name.removeprefix("SIG"))
        self.watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True, **QUIET)
        try:
            self.account = _give_folder_to(self.owner, self.folder)
            (self.folder / "admin").write_text(self.admin)
            self._spawn(self.create_command)
            if self.process.wait() != 0:
                raise RuntimeError(f"{self.package} could not create its data folder:\n{self._log()}")
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its folder. Nothing happens if it has stopped already."""
        if self.folder is not None:
            self._halt()
            self.watcher.kill()
            self.watcher.communicate()
            shutil.rmtree(self.folder)
            self.folder = None

    def restart(self, seconds_down: float = 0.0) -> None:
        self._halt()
        time.sleep(seconds_down)
        self._serve()

    def url(self, database: str) -> str:
        """The URL of a database, for a user with rights to it alone. Creates whatever is missing."""
        for statement in self.create_statements:
            with contextlib.suppress(sa.exc.ProgrammingError):  # they exist; PostgreSQL has no IF NOT EXISTS here
                self.execute(statement.format(database))
        return f"{self.scheme}://bench:s3cret@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> list[Any]:
        """The rows that a statement returns to the server's administrator."""
        url = f"{self.scheme}://admin:s3cret@127.0.0.1:{self.port}/{self.owner}"
        engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result) if result.returns_rows else []

    def _spawn(self, command: str) -> None:
        name, *options = (part.format(folder=self.folder, port=self.port) for part in command.split())
        settings = self.account | {"cwd": self.folder, "stdin": subprocess.DEVNULL, "start_new_session": True}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([program(name), *options], stdout=log, stderr=log, **settings)
        (self.folder / "pid").write_text(str(self.process.pid))

    def _serve(self) -> None:
        self._spawn(self.serve_command)
        end = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except sa.exc.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{self.package} does not answer: {error.orig}\n{self._log()}") from None
                time.sleep(0.05)

    def _halt(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, self.stop_signal)
            self.process.wait(60)

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]


class PostgreSQL(Server):
    package, driver, scheme, owner = "postgresql", "psycopg", "postgresql+psycopg", "postgres"
    admin = "s3cret"
    create_command = (
        "initdb -D {folder}/data -U admin --pwfile {folder}/admin -A scram-sha-256 -E UTF8 --locale C --no-sync"
    )
    serve_command = (
        "postgres -D {folder}/data -p {port} --listen_addresses=127.0.0.1 --unix_socket_directories="
        " --fsync=off --shared_buffers=16MB"
    )
    create_statements = ("CREATE ROLE bench LOGIN PASSWORD 's3cret'", 'CREATE DATABASE "{}" OWNER bench')
    stop_signal = signal.SIGINT  # SIGTERM would wait until the clients disconnect


class MariaDB(Server):
    package, driver, scheme, owner = "mariadb-server", "pymysql", "mysql+pymysql", "mysql"
    admin = "GRANT ALL ON *.* TO admin IDENTIFIED BY 's3cret' WITH GRANT OPTION;\n"
    create_command = "mariadb-install-db --no-defaults --datadir={folder}/data --skip-test-db --innodb-log-file-size=8M"
    serve_command = (
        "mariadbd --no-defaults --datadir={folder}/data --tmpdir={folder} --init-file={folder}/admin --socket="
        " --port={port} --bind-address=127.0.0.1 --skip-name-resolve"
        " --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci"  # Debian's default; else latin1
        " --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --innodb-log-file-size=8M"
    )
    create_statements = (
        "CREATE USER IF NOT EXISTS bench IDENTIFIED BY 's3cret'",
        "CREATE DATABASE IF NOT EXISTS `{}`",
        "GRANT ALL ON `{}`.* TO bench",
    )
    stop_signal = signal.SIGTERM


KINDS = {"postgresql": PostgreSQL, "mariadb": MariaDB}


def program(name: str) -> str | None:
    """The path of a program. Debian has a folder for each version of PostgreSQL; the newest one comes first."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))], reverse=True)
    path = os.pathsep.join([*map(str, newest), os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    older_name = {"mariadbd": "mysqld", "mariadb-install-db": "mysql_install_db"}.get(name, name)
    return shutil.which(name, path=path) or shutil.which(older_name, path=path)


def missing(kind: str) -> str | None:
    """What is missing for a server of this kind; None if it can run here."""
    server = KINDS[kind]
    for name in (command.split()[0] for command in (server.create_command, server.serve_command)):
        if program(name) is None:
            return f"no program {name}: apt-get install {server.package}"
    try:
        importlib.import_module(server.driver)
    except ImportError as error:
        return f"no driver {server.driver}: {error}"
    return None


def free_port() -> int:
    """A free port below the range for client connections, so that a client that retries cannot take it."""
    while True:
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _give_folder_to(name: str, folder: Path) -> dict[str, Any]:
    """The account to start a server with. Servers refuse to run as root, so root gives the folder to another user."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(name if name in {user.pw_name for user in pwd.getpwall()} else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o001)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
