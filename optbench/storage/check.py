"""Checks a database before anything is changed: whether it can be opened, is optbench's, and has the current schema."""

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from optbench.defaults import storage_url
from optbench.errors import StorageError
from optbench.storage.engine import connect_to_read, engine_options, one_line, shown
from optbench.storage.optuna_private import revisions
from optbench.storage.schema import KNOWN, VERSION

DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
URL_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9+]*:")  # the beginning of a URL
EXTRAS = {"psycopg": "postgresql", "pymysql": "mysql"}


@dataclass(frozen=True)
class Found:
    """What a database holds: its tables, the revision of Optuna's and the version of ours (None: not there)."""

    tables: frozenset[str]
    optuna: str | None
    ours: int | None

    @property
    def blank(self) -> bool:
        """Whether tables are still to be made: all of them, or the rest after a crash."""
        return self.optuna is None and self.tables <= KNOWN


class OlderSchemaError(StorageError):
    """The database was made by an older optbench or Optuna; `optbench upgrade` upgrades it."""


def parse_url(given: str) -> URL:
    """The URL that was given; a plain path means an SQLite file. Raises StorageError if it cannot be used here."""
    try:
        url = _from_path(given) or make_url(given)
        if url.get_backend_name() == "sqlite" and url.database and url.database.startswith("~"):
            url = url.set(database=str(Path(url.database).expanduser()))
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        _check_parts(url, given)
        url.get_dialect().import_dbapi()
    except ImportError as problem:
        extra = EXTRAS.get(problem.name or "")
        wanted = f"pip install 'optbench[{extra}]'" if extra else f"pip install {problem.name or 'psycopg[binary]'}"
        raise StorageError(f"storage {shown(url)}: {str(problem).splitlines()[0]}; type `{wanted}`") from problem
    except (ArgumentError, NoSuchModuleError, ValueError) as problem:
        raise StorageError(
            f"storage {_harmless(given)} is neither a file nor a URL of a known kind; expected, for example, "
            "results.db or sqlite:///results.db"
        ) from problem
    return url


def _from_path(given: str) -> URL | None:
    """The URL of a plain path, such as results.db or ~/results; None if it does not look like a path."""
    path = Path(given)
    looks = len(path.parts) > 1 or path.suffix in (".db", ".sqlite", ".sqlite3") or path.is_file()
    return URL.create("sqlite", database=given) if looks and not URL_LIKE.match(given) else None


def _check_parts(url: URL, given: str) -> None:
    """Refuse a URL that could reveal a password, or that does not mean what it seems to mean."""
    if any("pass" in key.lower() and key.lower() != "passfile" for key in url.query):
        raise StorageError(
            f"storage {_harmless(given)} has its password among the options; expected user:password@host"
        )
    if url.get_backend_name() == "sqlite":
        if url.host or url.username:
            raise StorageError(
                f"storage {_harmless(given)} names a host, but SQLite has none; expected sqlite:///storage/optbench.db"
            )
    elif "@" in f"{url.host}{url.database}":
        raise StorageError(
            f"storage {_harmless(given)} has more than one @; expected {url.drivername}://user:password@host/database, "
            "with an @ in the password written as %40"
        )


def _harmless(given: str) -> str:
    """The part of an invalid URL that is safe to print: a password may be anywhere after the scheme."""
    scheme, colon, _ = given.partition(":")
    return f"{scheme[:40]}:..." if colon else repr(given[:80])


def check(given: str, create: bool = False, read_only: bool = False) -> URL:
    """The URL, after checking that the database can be opened or, if `create` is true, made; nothing is written.

    Raises StorageError.
    """
    url = parse_url(given)
    if url.get_backend_name() == "sqlite":
        try:
            _check_file(url, create, read_only)
        except OSError as problem:
            raise StorageError(f"storage {str(url)[:80]}...: {problem.strerror}; choose another --storage") from problem
    return url


def look(url: URL) -> Found:
    """What the database holds; nothing is written, no file is made. Raises StorageError."""
    options = engine_options(url)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        if not path.exists():
            return Found(frozenset(), None, None)
        options = engine_options(url, read_only=True)
    with one_line(url):
        engine = create_engine(url, **options)
        try:
            with _reached(engine, url) as connection:
                tables = frozenset(inspect(connection).get_table_names())
                held = {
                    name: connection.execute(text(f"SELECT {column} FROM {name}")).scalar() if name in tables else None
                    for name, column in (("alembic_version", "version_num"), ("optbench_schema", "version"))
                }
        finally:
            engine.dispose()
    ours = held["optbench_schema"] or (1 if "optbench_epochs" in tables else None)
    return Found(tables, held["alembic_version"], ours)


def _reached(engine: Engine, url: URL) -> Connection:
    """A connection. Raises StorageError if the driver does not know one of the URL's options."""
    try:
        return engine.connect()
    except (AttributeError, TypeError, LookupError) as problem:
        options = ", ".join(url.query)
        raise StorageError(f"storage {shown(url)}: the driver cannot use its options ({options})") from problem


def check_schema(url: URL, found: Found, create: bool) -> None:
    """Raise StorageError, which says what to type, if this optbench cannot use the database as it is."""
    if found.blank:
        if not create:
            raise StorageError(
                f"storage {shown(url)} is empty; `optbench sweep quickstart` with this --storage makes a first study"
            )
        return
    if "version_info" not in found.tables:
        foreign = min(found.tables - KNOWN)
        raise StorageError(
            f"storage {shown(url)} belongs to another application (it has the table {foreign!r}); choose another one"
        )
    upgrade = f"`optbench upgrade --storage {shown(url)}` keeps a copy and upgrades it"
    known = revisions()  # of the Optuna that is installed
    if found.optuna not in known:
        raise StorageError(f"storage {shown(url)} was made by a newer Optuna; type `pip install --upgrade optbench`")
    if (found.ours or VERSION) > VERSION:
        raise StorageError(f"storage {shown(url)} was made by a newer optbench; type `pip install --upgrade optbench`")
    if found.optuna != known[-1]:
        raise OlderSchemaError(f"storage {shown(url)} has the schema {found.optuna} of an older Optuna; {upgrade}")
    if found.ours is None and not create:
        raise StorageError(
            f"storage {shown(url)} holds studies of Optuna, but no tables of optbench; the first sweep adds them"
        )
    if (found.ours or VERSION) < VERSION:
        raise OlderSchemaError(f"storage {shown(url)} has the schema {found.ours} of an older optbench; {upgrade}")


def _check_file(url: URL, create: bool, read_only: bool) -> None:
    if url.query or (url.database and url.database.startswith("file:")):
        raise StorageError(f"storage {url} has options; expected a plain file: sqlite:///storage/optbench.db")
    if not url.database or url.database == ":memory:":
        raise StorageError(
            f"storage {url} is in memory and would be lost; expected a file: sqlite:///storage/optbench.db"
        )
    path = Path(url.database)
    if not path.exists():
        if not create:
            option = "" if str(url) == storage_url() else f" --storage {url}"
            raise StorageError(f"no database at {path}; make one with `optbench sweep quickstart{option}`")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise StorageError(f"{path}: {folder} is not a folder that can be written; choose another --storage")
        return
    if not path.is_file() or not os.access(path, os.R_OK):
        raise StorageError(f"{path} is not a file that can be read; choose another --storage")
    if not read_only and not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)):
        raise StorageError(
            f"{path} can be read but not written; `optbench show`, compare, report and export without --model read it, "
            "and `optbench backup` copies it to a file that can be written"
        )
    if not _is_sqlite(path):
        raise StorageError(f"{path} is not an SQLite database; choose another --storage, or move the file away")


def _is_sqlite(path: Path) -> bool:
    """Whether SQLite takes the file for a database; other problems show when it is opened.

    The file must not be opened without SQLite: closing it would drop the locks of every connection that this process
    has to it (POSIX), and another process could then damage the database.
    """
    try:
        with closing(connect_to_read(str(path))) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as problem:
        return problem.sqlite_errorcode != sqlite3.SQLITE_NOTADB
    return True
