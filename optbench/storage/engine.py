"""Opens a database by URL, with the settings that let several processes use it, or says in one line why it cannot."""

import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from optbench.errors import StorageError
from optbench.storage import schema  # noqa: F401  registers our tables with Optuna's metadata

BUSY_SECONDS = 60


class Storage:
    """An open database: Optuna's storage on it, and sessions of our own on the same engine."""

    def __init__(self, url: URL) -> None:
        self.url = url
        options: dict[str, Any] = {"pool_pre_ping": True}
        if url.get_backend_name() == "sqlite":
            options = {"creator": _sqlite(str(url.database))}
        text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        self.optuna = optuna.storages.RDBStorage(text, engine_kwargs=options)
        self.cached: Any = optuna.storages.get_storage(self.optuna)
        self.engine = self.optuna.engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; a database that fails becomes a StorageError."""
        with _one_line(self.url), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start and is committed at its end.

        SQLite would take the lock at the first write only, and what had been read until then could be stale.
        """
        with _one_line(self.url), Session(self.engine) as session, session.begin():
            if self.engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    def close(self) -> None:
        """Close every connection; closing twice is fine."""
        self.optuna.remove_session()
        self.engine.dispose()


def open_storage(text: str, create: bool = False) -> Storage:
    """The database at a SQLAlchemy URL; made if missing, its folder too, when `create` is true."""
    url = check(text, create)
    if create and url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        _create_file(url)
    with _one_line(url):
        return Storage(url)


def _create_file(url: URL) -> None:
    """Make a new SQLite file with all its tables under another name first, so that nobody ever sees half of it."""
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder, _one_line(url):
            new = Path(folder) / "new.db"
            Storage(url.set(database=str(new))).close()
            with suppress(FileExistsError):  # another process was quicker
                os.link(new, path)
    except OSError as problem:
        raise StorageError(f"{path} cannot be made: {problem.strerror}; choose another --storage") from problem


def check(text: str, create: bool = False) -> URL:
    """The URL, if it can be opened: nothing is written. Raises StorageError."""
    try:
        url = make_url(text)
        url.get_dialect().import_dbapi()
    except ImportError as problem:
        raise StorageError(f"storage {url} needs the Python package {problem.name!r}; install it with pip") from problem
    except (ArgumentError, NoSuchModuleError, ValueError) as problem:
        shown = re.sub("://.*@", "://***@", text)
        raise StorageError(
            f"storage {shown!r} is not a URL of a known kind; expected sqlite:///storage/optbench.db or the like"
        ) from problem
    if url.get_backend_name() == "sqlite":
        _check_file(url, create)
    return url


def _check_file(url: URL, create: bool) -> None:
    if url.query or (url.database and url.database.startswith("file:")):
        raise StorageError(f"storage {url} has options; expected a plain file: sqlite:///storage/optbench.db")
    if not url.database or url.database == ":memory:":
        raise StorageError(
            f"storage {url} is kept in memory and would be lost; expected a file: sqlite:///storage/optbench.db"
        )
    path = Path(url.database)
    if not path.exists():
        if not create:
            raise StorageError(f"no database at {path}; make one with `optbench sweep quickstart --storage {url}`")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise StorageError(f"{path}: {folder} is not a folder that can be written; expected one: choose --storage")
        return
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        raise StorageError(f"{path} is not a file that can be read and written; choose another --storage")
    with path.open("rb") as file:
        head = file.read(16)
    if head not in (b"", b"SQLite format 3\0"):
        raise StorageError(f"{path} is not an SQLite database; choose another --storage, or move the file away")
    if head:
        _check_owner(path)


def _check_owner(path: Path) -> None:
    """Refuse the database of another application, rather than add tables to it."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.close()
    except sqlite3.Error as problem:
        raise StorageError(f"{path} cannot be read as SQLite: {problem}; choose another --storage") from problem
    if names and "version_info" not in names:
        raise StorageError(f"{path} belongs to another application (it has {min(names)!r}); choose another --storage")


def _sqlite(path: str) -> Callable[[], sqlite3.Connection]:
    """Connects as several processes need it: a write-ahead log, and the write lock taken when a transaction begins."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE", check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    return connect


@contextmanager
def _one_line(url: URL) -> Iterator[None]:
    """Turns what a database raises into a StorageError of one line, without the password."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError, OSError) as problem:
        cause = getattr(problem, "orig", None) or problem.__cause__ or problem
        raise StorageError(f"storage {url}: {str(cause).splitlines()[0]}") from problem
    except RuntimeError as problem:
        if "schema" not in str(problem) and "runtime optuna version" not in str(problem):
            raise
        raise StorageError(
            f"storage {url} was made by another Optuna; type `optuna storage upgrade --storage {url}` on a copy of it"
        ) from problem
