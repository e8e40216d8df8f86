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
WATCH = """read -r _  # returns when the tests' process is gone, however it went
group="-$(cat "$0/pid")"
kill -s "$1" -- "$group"
for _ in $(seq 100); do kill -s 0 -- "$group" || break; sleep 0.1; done
kill -s KILL -- "$group"
rm -rf "$0"
"""


class Server:
    """What the kinds share. Where tests are killed, a watcher does what ``stop`` would have done."""

    def __init__(self, parent: Path | str | None = None) -> None:
        self.parent = Path(parent or tempfile.gettempdir())
        self.folder = self.process = None

    def start(self) -> None:
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="srv-", dir=self.parent)), _free_port()
        watch = ("sh", "-c", WATCH, self.folder, self.ending.name.removeprefix("SIG"))
        self.watcher = subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True, **QUIET)
        try:
            self.account = _hand_over(self.folder, self.owner)
            (self.folder / "admin").write_text(self.admin)
            self._spawn(self.making)
            if self.process.wait() != 0:
                raise RuntimeError(f"no data folder for {self.package}:\n{self._log()}")
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove its folder; one that has stopped stays so."""
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
        """The address of this database, made where it is missing, for a user who has no other rights."""
        for statement in self.creation:
            with contextlib.suppress(sa.exc.ProgrammingError):  # PostgreSQL has no IF NOT EXISTS for these
                self.execute(statement.format(database))
        return f"{self.scheme}://bench:s3cret@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> list[Any]:
        """The rows of a statement of the server's administrator."""
        url = f"{self.scheme}://admin:s3cret@127.0.0.1:{self.port}/{self.owner}"
        engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result) if result.returns_rows else []

    def _spawn(self, command: str) -> None:
        name, *options = (part.format(folder=self.folder, port=self.port) for part in command.split())
        how = self.account | {"cwd": self.folder, "stdin": subprocess.DEVNULL, "start_new_session": True}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([program(name), *options], stdout=log, stderr=log, **how)
        (self.folder / "pid").write_text(str(self.process.pid))

    def _serve(self) -> None:
        self._spawn(self.serving)
        end = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except sa.exc.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"no answer from {self.package}: {error.orig}\n{self._log()}") from None
                time.sleep(0.05)

    def _halt(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, self.ending)
            self.process.wait(60)

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]


class PostgreSQL(Server):
    package, driver, scheme, owner = "postgresql", "psycopg", "postgresql+psycopg", "postgres"
    admin = "s3cret"
    making = "initdb -D {folder}/data -U admin --pwfile {folder}/admin -A scram-sha-256 -E UTF8 --locale C --no-sync"
    serving = (
        "postgres -D {folder}/data -p {port} --listen_addresses=127.0.0.1 --unix_socket_directories="
        " --fsync=off --shared_buffers=16MB"
    )
    creation = ("CREATE ROLE bench LOGIN PASSWORD 's3cret'", 'CREATE DATABASE "{}" OWNER bench')
    ending = signal.SIGINT  # SIGTERM waits for the clients


class MariaDB(Server):
    package, driver, scheme, owner = "mariadb-server", "pymysql", "mysql+pymysql", "mysql"
    admin = "GRANT ALL ON *.* TO admin IDENTIFIED BY 's3cret' WITH GRANT OPTION;\n"
    making = "mariadb-install-db --no-defaults --datadir={folder}/data --skip-test-db --innodb-log-file-size=8M"
    serving = (
        "mariadbd --no-defaults --datadir={folder}/data --tmpdir={folder} --init-file={folder}/admin --socket="
        " --port={port} --bind-address=127.0.0.1 --skip-name-resolve"
        " --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci"  # Debian's; it would be latin1
        " --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --innodb-log-file-size=8M"
    )
    creation = (
        "CREATE USER IF NOT EXISTS bench IDENTIFIED BY 's3cret'",
        "CREATE DATABASE IF NOT EXISTS `{}`",
        "GRANT ALL ON `{}`.* TO bench",
    )
    ending = signal.SIGTERM


KINDS = {"postgresql": PostgreSQL, "mariadb": MariaDB}


def program(name: str) -> str | None:
    """Where this program is: Debian has a folder for each version of PostgreSQL, and the newest counts."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))], reverse=True)
    path = os.pathsep.join([*map(str, newest), os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    former = {"mariadbd": "mysqld", "mariadb-install-db": "mysql_install_db"}.get(name, name)
    return shutil.which(name, path=path) or shutil.which(former, path=path)


def missing(kind: str) -> str | None:
    """Why no server of this kind can be had here."""
    server = KINDS[kind]
    for name in (command.split()[0] for command in (server.making, server.serving)):
        if program(name) is None:
            return f"no program {name}: apt-get install {server.package}"
    try:
        importlib.import_module(server.driver)
    except ImportError as error:
        return f"no driver {server.driver}: {error}"
    return None


def _free_port() -> int:
    """Below those that the system gives to clients, or else one that tries again might take its own server's."""
    while True:
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _hand_over(folder: Path, name: str) -> dict[str, Any]:
    """Make the folder an unprivileged user's where the tests run as root, as whom no server starts."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(name if name in {user.pw_name for user in pwd.getpwall()} else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o001)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
