"""Backs up a database while it is used, and deletes a study."""

import logging
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy.orm import Session

from optbench.errors import StorageError, tolerated
from optbench.storage.check import OlderSchemaError, check, check_schema, look
from optbench.storage.engine import Storage, connect_to_read, one_line, publish, shown
from optbench.storage.identity import check_idle
from optbench.storage.optuna_private import models

log = logging.getLogger(__name__)


def backup(given: str, target: Path) -> int:
    """The size in bytes of a copy of an SQLite database as it is at one moment, even while sweeps write to it.

    The copy gets its name once it is whole. Raises StorageError.
    """
    url = check(given, read_only=True)
    if url.get_backend_name() != "sqlite":
        tool = {"postgresql": "pg_dump", "mysql": "mariadb-dump"}.get(url.get_backend_name(), "the server's own tool")
        raise StorageError(
            f"storage {shown(url)} is on a server, and `optbench backup` copies only SQLite files; use {tool}"
        )
    with tolerated(log, "the copy keeps the older schema", OlderSchemaError):
        check_schema(url, look(url), create=False)
    if not target.name:
        raise StorageError("the copy needs a name; expected a new file, for example: optbench backup monday.db")
    if target.exists() or target.is_symlink():
        raise StorageError(f"{target} exists already; expected the name of a new file")
    path = Path(str(url.database))
    try:
        with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".backup-") as folder, one_line(url):
            whole = Path(folder) / "whole.db"
            with closing(connect_to_read(str(path))) as source, closing(sqlite3.connect(whole)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log next to it
            publish(whole, target)
    except StorageError as problem:
        if getattr(problem.__cause__, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
            raise
        raise StorageError(f"{target} cannot be written: the disk is full; choose another place") from problem
    except OSError as problem:
        raise StorageError(f"{target} cannot be written: {problem.strerror}; choose another file") from problem
    return target.stat().st_size


def check_deletable(storage: Storage, study_id: int, name: str) -> None:
    """Raise StudyError if the study has live workers."""
    storage.read(lambda session: check_idle(session, study_id, name))


def delete_study(storage: Storage, study_id: int, name: str) -> None:
    """Delete a study with its trials and curves. Raises StudyError if it has live workers."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        check_idle(session, study_id, name)
        if study is not None:
            session.delete(study)

    storage.write(work)
