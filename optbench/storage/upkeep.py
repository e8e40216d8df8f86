"""Copies a database while it is used, brings an older schema up to date, deletes a study."""

import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import timedelta
from itertools import chain, count
from pathlib import Path

from optuna.trial import TrialState
from sqlalchemy import URL, Connection, func, insert, literal, select
from sqlalchemy.orm import Session

from optbench.errors import StorageError, StudyError
from optbench.storage.check import Found, OlderSchemaError, check, check_schema, look
from optbench.storage.engine import BUSY_SECONDS, Storage, one_line, optuna_storage, publish, shown
from optbench.storage.opening import make_tables
from optbench.storage.schema import VERSION, epochs, metadata, models, schema_version, test_evaluations, workers
from optbench.storage.workers import HEARTBEAT_TIMEOUT, alive, clock


def backup(given: str, target: Path) -> int:
    """Copies a SQLite database, also while sweeps write to it, as it is at one moment; returns the copy's bytes.

    The copy appears under its name when it is whole. Raises StorageError.
    """
    url = check(given)
    if url.get_backend_name() != "sqlite":
        tool = {"postgresql": "pg_dump", "mysql": "mariadb-dump"}.get(url.get_backend_name(), "the server's own tool")
        raise StorageError(f"storage {shown(url)} is a server's; `optbench backup` copies SQLite files: use {tool}")
    with suppress(OlderSchemaError):  # its copy is as good
        check_schema(url, look(url), create=False)
    if not target.name:
        raise StorageError("no name for the copy; expected that of a new file: optbench backup monday.db")
    if target.exists() or target.is_symlink():
        raise StorageError(f"{target} exists already; expected the name of a new file")
    path = Path(str(url.database))
    try:
        with tempfile.TemporaryDirectory(dir=target.resolve().parent, prefix=".backup-") as folder, one_line(url):
            whole = Path(folder) / "whole.db"
            source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            with closing(source), closing(sqlite3.connect(whole)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            publish(whole, target)
    except OSError as problem:
        raise StorageError(f"{target} cannot be written: {problem.strerror}; choose another file") from problem
    return target.stat().st_size


def upgrade(given: str) -> tuple[str, Path | None]:
    """Brings Optuna's and our tables of an older version up to date; returns what was done, and a SQLite file's copy.

    Raises StorageError where the database is of a newer version, or not ours, or somebody works on a study.
    """
    url = check(given)
    found = look(url)
    try:
        check_schema(url, found, create=False)
    except OlderSchemaError:
        pass
    else:
        return "is up to date already", None
    _nobody_works(url, found)
    copy = None
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        names = (
            path.with_name(f"{path.name}.before-schema-{VERSION}{end}")
            for end in chain([""], map("-{}".format, count(2)))
        )
        copy = next(name for name in names if not name.exists())
        backup(given, copy)
    _upgrade(url, found)
    return f"is brought up to schema {VERSION}", copy


def _nobody_works(url: URL, found: Found) -> None:
    """Every version of the table of workers has their beats, by the database's clock."""
    if workers.name not in found.tables:
        return
    with one_line(url):
        storage = optuna_storage(url)
        with Session(storage.engine) as session:
            limit = clock(session) - timedelta(seconds=HEARTBEAT_TIMEOUT)
            beats = session.scalar(select(func.count()).select_from(workers).where(workers.c.beat > limit))
        storage.engine.dispose()
    if beats:
        raise StorageError(f"storage {shown(url)} has {beats} live workers; stop their sweeps first")


def _upgrade(url: URL, found: Found) -> None:
    with one_line(url):
        storage = optuna_storage(url)
        storage.upgrade()
        for version in range(found.ours or VERSION, VERSION):
            with storage.engine.begin() as connection:  # a step and the version that it leads to, or neither
                schema_version.create(connection, checkfirst=True)
                STEPS[version](connection)
                connection.execute(schema_version.delete())
                connection.execute(insert(schema_version).values(version=version + 1))
        storage.engine.dispose()
        make_tables(url).close()


def _first(connection: Connection) -> None:
    """From 1 to 2: a worker's row, which lives no longer than the worker, names its study; epochs have two columns."""
    metadata.tables[workers.name].drop(connection, checkfirst=True)
    for column in (epochs.c.rate, epochs.c.moved):
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {epochs.name} ADD COLUMN {column.name} {kind}")


def _second(connection: Connection) -> None:
    """From 2 to 3: a log of the looks at the test images, with those that were taken before there was one."""
    test_evaluations.create(connection, checkfirst=True)
    study, trial, held = models.StudyModel, models.TrialModel, models.StudySystemAttributeModel
    tested = held.key == "study:metric_names", held.value_json == '["test accuracy"]'
    columns = study.study_name, trial.number, literal("sweep"), trial._datetime_complete_utc
    looks = select(*columns).join(trial, trial.study_id == study.study_id).join(held, held.study_id == study.study_id)
    looks = looks.where(*tested, trial.state == TrialState.COMPLETE, trial._datetime_complete_utc.is_not(None))
    connection.execute(insert(test_evaluations).from_select(["study", "trial", "by", "opened"], looks))


STEPS = {1: _first, 2: _second}


def delete_study(storage: Storage, study_id: int, name: str) -> None:
    """Deletes a study with its trials and curves. Raises StudyError if somebody works on it."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        busy = len(alive(session, study_id))
        if busy:
            raise StudyError(
                f"study {name!r} has {busy} live worker{'s' if busy > 1 else ''}; stop the sweep first (Ctrl-C), or "
                "wait for its heartbeat timeout if it was killed"
            )
        if study is not None:
            session.delete(study)

    storage.write(work)
