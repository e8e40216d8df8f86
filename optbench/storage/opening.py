"""Opens a database and, if asked, makes it: whole or not at all, even if several processes make it at the same time."""

import errno
import logging
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from sqlalchemy import URL, create_engine, insert, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from optbench.errors import StorageError, tolerated
from optbench.storage.check import check, check_schema, look
from optbench.storage.engine import Storage, engine_options, one_line, publish, shown
from optbench.storage.schema import VERSION, schema_version

log = logging.getLogger(__name__)
LOCKS = {"postgresql": "SELECT pg_advisory_lock(20261123)", "mysql": "SELECT GET_LOCK('optbench', 60)"}


def open_storage(given: str, create: bool = False, read_only: bool = False) -> Storage:
    """The database at a SQLAlchemy URL or in an SQLite file; made if it is missing and `create` is true.

    If `read_only` is true, nothing is written, and an SQLite file and its folder need not be writable.
    Raises StorageError, and touches nothing, if the database cannot be reached, belongs to another application, or has
    the schema of another version.
    """
    url = check(given, create, read_only)
    found = look(url)
    check_schema(url, found, create)
    if not found.blank and found.ours is not None:
        with one_line(url):
            return Storage(url, read_only=read_only)
    path = Path(str(url.database))
    if url.get_backend_name() == "sqlite" and not path.exists():
        _create_file(url, path)
        return open_storage(given)
    with _alone(url):
        return make_tables(url)


def make_tables(url: URL, attempts: int = 20) -> Storage:
    """The database, after making its missing tables. Other processes may be making them at the same time."""
    with one_line(url):
        try:
            storage = Storage(url, create=True)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as problem:
            raced = any(words in str(problem) for words in ("already exists", "UNIQUE constraint failed"))
            if attempts == 1 or url.get_backend_name() != "sqlite" or not raced:
                raise
            time.sleep(0.1)
            return make_tables(url, attempts - 1)
        with (
            tolerated(log, "the schema version is there already", IntegrityError),
            storage.engine.begin() as connection,
        ):
            connection.execute(insert(schema_version).values(version=VERSION))
        return storage


def _create_file(url: URL, path: Path) -> None:
    """Make a new SQLite file with all its tables under a temporary name, so that no process ever sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
            new = Path(folder) / "new.db"
            new.touch()
            make_tables(url.set(database=str(new))).close()
            _check_whole(new)
            with tolerated(log, "another process made the database first", FileExistsError):
                publish(new, path)
    except OSError as problem:
        raise StorageError(f"{path} cannot be made: {problem.strerror}; choose another --storage") from problem


def _check_whole(new: Path) -> None:
    """Raise OSError if the disk was too full to close the file: its log then holds pages that the file lacks."""
    try:
        with closing(sqlite3.connect(new)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (found,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as problem:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from problem
    if found != "ok":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def _alone(url: URL) -> Iterator[None]:
    """Lets one process at a time make tables in a server's database."""
    lock = LOCKS.get(url.get_backend_name())
    if lock is None:
        yield
        return
    with one_line(url):
        engine = create_engine(url, **engine_options(url))
        connection = engine.connect()
        if connection.execute(text(lock)).scalar() == 0:
            raise StorageError(
                f"storage {shown(url)}: another process has been making its tables for a minute; try again"
            )
    try:
        yield
    finally:
        connection.close()
        engine.dispose()  # ends the server's session, and with it the lock
