"""An open database: sessions, Optuna's storage on the same engine, and retries while it cannot be reached."""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import optuna
from sqlalchemy import URL
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from optbench.errors import StorageError
from optbench.storage import schema  # noqa: F401  registers our tables with Optuna's metadata

BUSY_SECONDS = 60
SWITCH_SECONDS = 0.05  # at most, between two tries to switch a file to a write-ahead log
PRIMARY = 0xFF  # the bits of SQLite's error codes that name the kind of error
RETRY_SECONDS = 1.0
LASTING = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY)  # SQLite's: a table is missing, or the file is read-only
SERVERS: dict[str, dict[str, Any]] = {
    # Clocks are in UTC. The server ends the transaction of a frozen or lost worker, so that it holds no lock for long.
    "postgresql": {"options": "-c timezone=utc -c idle_in_transaction_session_timeout=60s", "connect_timeout": 10},
    "mysql": {
        "init_command": "SET time_zone = '+00:00', innodb_lock_wait_timeout = 60, wait_timeout = 60",
        "connect_timeout": 10,
    },
}

T = TypeVar("T")


class Storage:
    """An open database: Optuna's storage and our own transactions, on the same engine.

    `outage` is called with the problem when a transaction fails for a reason that may pass (a server restarts, a disk
    is full), and returns whether to try again; it is called with None once the database answers again.
    """

    def __init__(self, url: URL, create: bool = False, read_only: bool = False) -> None:
        self.url, self.read_only = url, read_only
        self.optuna = optuna_storage(url, create, read_only)
        self.engine = self.optuna.engine
        self.outage: Callable[[StorageError | None], bool] = lambda problem: False
        self.path = Path(str(url.database)).absolute() if url.get_backend_name() == "sqlite" else None
        self.file = _identity(self.path)

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, called with a session. `work` is called again after an outage."""
        return self._patiently(self._reading, work)

    def write(self, work: Callable[[Session], T], patient: bool = True) -> T:
        """What `work` returns, in a transaction that holds the write lock from its start and is committed at its end.

        `work` is called again after an outage, even if its transaction was committed just before the connection broke.
        """
        return self._patiently(self._writing, work) if patient else self._writing(work)

    def close(self) -> None:
        """Close every connection; closing twice is fine."""
        self.optuna.remove_session()
        self.engine.dispose()

    def _reading(self, work: Callable[[Session], T]) -> T:
        with one_line(self.url), Session(self.engine) as session:
            return work(session)

    def _writing(self, work: Callable[[Session], T]) -> T:
        """What `work` returns. SQLite alone would lock at the first write, after reads that may be stale."""
        if self.read_only:
            raise StorageError(f"storage {shown(self.url)} was opened read-only, and this command would write to it")
        if _identity(self.path) != self.file:
            raise StorageError(
                f"{self.path} was moved, deleted or replaced while it was in use; put it back, or choose another "
                "--storage, and type the same command: the trials that were finished are in the original file"
            )
        with one_line(self.url), Session(self.engine) as session, session.begin():
            if self.path:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            return work(session)

    def _patiently(self, attempt: Callable[[Callable[[Session], T]], T], work: Callable[[Session], T]) -> T:
        failed = False
        while True:
            try:
                result = attempt(work)
            except StorageError as problem:
                if not problem.passing or not self.outage(problem):
                    raise
                failed = True
                time.sleep(RETRY_SECONDS)
            else:
                if failed:
                    self.outage(None)
                return result


def optuna_storage(url: URL, create: bool = False, read_only: bool = False) -> optuna.storages.RDBStorage:
    """Optuna's storage with our settings of the connections; makes missing tables only if `create` is true.

    It can be pickled, as Optuna's own can.
    """
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    return optuna.storages.RDBStorage(
        text,
        engine_kwargs=engine_options(url, read_only),
        skip_table_creation=not create,
        skip_compatibility_check=True,
    )


def engine_options(url: URL, read_only: bool = False) -> dict[str, Any]:
    """The arguments of `create_engine` for that database."""
    backend = url.get_backend_name()
    if backend == "sqlite" and read_only:
        return {"creator": partial(connect_to_read, str(url.database)), "poolclass": NullPool}
    if backend == "sqlite":
        return {"creator": partial(_connect, str(url.database))}
    # A process keeps one connection. Its heartbeats open another one if they come while that one is used.
    pool = {"pool_size": 1, "max_overflow": 10, "pool_pre_ping": True}
    return {**pool, "isolation_level": "READ COMMITTED", "connect_args": SERVERS.get(backend, {})}


def _connect(path: str) -> sqlite3.Connection:
    """A connection for several processes: with a write-ahead log, and the write lock from a transaction's start."""
    connection = sqlite3.connect(
        f"{Path(path).absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level="IMMEDIATE",
        check_same_thread=False,
    )
    _write_ahead(connection)
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Give the file a write-ahead log, unless it has one.

    Whoever switches needs the file for itself. SQLite does not wait for that, whatever the connection's timeout is:
    two connections that switch at once would wait for each other.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, SWITCH_SECONDS))
        else:
            return


def connect_to_read(path: str) -> sqlite3.Connection:
    """A connection that writes nothing. The file and its folder need not be writable.

    While a database in WAL mode is open, two more files lie next to it. If they can be made, the connection makes them
    and removes them when it is closed. If they cannot be made and there is no log, no process is writing, so the file
    is opened as immutable.
    """
    file = Path(path).absolute()
    log = file.with_name(f"{file.name}-wal")
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        mode = "mode=rw"
    elif log.exists() and log.stat().st_size:
        mode = "mode=ro"
    else:
        mode = "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def publish(new: Path, path: Path) -> None:
    """Give the file its final name. Raises FileExistsError if a file has that name already."""
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from None
        os.rename(new, path)


def _identity(path: Path | None) -> tuple[int, int] | None:
    """The device and inode of the file. If it is replaced, open connections still write to the old one."""
    try:
        found = os.stat(path) if path else None
    except OSError:
        found = None
    return (found.st_dev, found.st_ino) if found else None


@contextmanager
def one_line(url: URL) -> Iterator[None]:
    """Turns a database's exceptions into a StorageError with a message of one line, without the password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError, OSError, UnicodeError) as problem:
        database = problem.__cause__ if isinstance(problem, optuna.exceptions.StorageInternalError) else problem
        cause = getattr(database, "orig", None) or database or problem
        passing = isinstance(database, OperationalError | InterfaceError | sqlite3.OperationalError)
        passing |= getattr(database, "connection_invalidated", False)
        passing &= getattr(cause, "sqlite_errorcode", None) not in LASTING
        first_line = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise StorageError(f"storage {shown(url)}: {first_line}", passing) from problem


def shown(url: URL) -> str:
    """The URL without its password."""
    return str(url.update_query_dict({key: "***" for key in url.query if "pass" in key.lower()}))
