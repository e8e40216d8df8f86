"""Upgrades the tables of an older optbench or Optuna, after copying an SQLite file."""

import json
import uuid
from datetime import timedelta
from itertools import chain, count
from pathlib import Path

from optuna.trial import TrialState
from sqlalchemy import (
    URL,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    inspect,
    literal,
    literal_column,
    select,
    table,
    update,
)
from sqlalchemy.orm import Session

from optbench.defaults import HEARTBEAT_TIMEOUT
from optbench.errors import StorageError, counted
from optbench.scheduler.attributes import StudyAttribute
from optbench.scheduler.states import Metric
from optbench.storage.check import Found, OlderSchemaError, check, check_schema, look
from optbench.storage.engine import one_line, optuna_storage, shown
from optbench.storage.liveness import clock
from optbench.storage.opening import make_tables
from optbench.storage.optuna_private import models, trial_times
from optbench.storage.schema import TOKEN, VERSION, epochs, metadata, schema_version, test_evaluations, workers
from optbench.storage.test_log import Occasion
from optbench.storage.upkeep import backup
from optbench.storage.writer import METRIC_NAMES

OLD_LOG = Table(  # the log of test-set evaluations in schema 3
    "optbench_openings",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("study", String(512), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("by", String(16), nullable=False),
    Column("opened", DateTime, nullable=False),
)
RENAMED = {"rate": "effective_lr", "moved": "weight_distance"}  # columns of the epochs, from schema 3 to 4


def upgrade(given: str) -> tuple[str, Path | None]:
    """What was done, in words, and the path of the copy of an SQLite file, if one was made.

    Raises StorageError if the database has a newer schema, belongs to another application, or has live workers.
    """
    url = check(given)
    found = look(url)
    try:
        check_schema(url, found, create=False)
    except OlderSchemaError:
        pass
    else:
        return "is up to date already", None
    _check_idle(url, found)
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
    return f"now has schema {VERSION}", copy


def _check_idle(url: URL, found: Found) -> None:
    """Refuse to upgrade while there are live workers. Every version stores their heartbeats by the database's clock."""
    if workers.name not in found.tables:
        return
    heartbeat = literal_column("beat" if (found.ours or VERSION) < 4 else "heartbeat", DateTime())
    with one_line(url):
        storage = optuna_storage(url)
        with Session(storage.engine) as session:
            now, timeout = clock(session), timedelta(seconds=HEARTBEAT_TIMEOUT)
            recent = (
                heartbeat > now - timeout,
                heartbeat < now + timeout,
            )  # not if it is in the future: the clock was set back
            query = select(func.count()).select_from(table(workers.name)).where(*recent)
            live = session.scalar(query)
        storage.engine.dispose()
    if live:
        raise StorageError(f"storage {shown(url)} has {counted(live, 'live worker')}; stop their sweeps first")


def _upgrade(url: URL, found: Found) -> None:
    with one_line(url):
        storage = optuna_storage(url)
        storage.upgrade()
        for version in range(found.ours or VERSION, VERSION):
            with storage.engine.begin() as connection:
                schema_version.create(connection, checkfirst=True)
                STEPS[version](connection)
                connection.execute(schema_version.delete())
                connection.execute(insert(schema_version).values(version=version + 1))
        storage.engine.dispose()
        make_tables(url).close()


# Each step can run again after it was interrupted: MariaDB commits every change of a table at once.


def _to_2(connection: Connection) -> None:
    """Workers' rows name their study. Epochs get the effective learning rate and the weights' distance."""
    metadata.tables[workers.name].drop(connection, checkfirst=True)
    for column, kind in (("rate", epochs.c.effective_lr.type), ("moved", epochs.c.weight_distance.type)):
        _add_column(connection, column, kind.compile(connection.dialect))


def _to_3(connection: Connection) -> None:
    """Adds the log of test-set evaluations, with one row for each test score that is already stored."""
    OLD_LOG.create(connection, checkfirst=True)
    connection.execute(OLD_LOG.delete())
    study, trial, held = models.StudyModel, models.TrialModel, models.StudySystemAttributeModel
    _, complete = trial_times()
    tested = held.key == METRIC_NAMES, held.value_json == json.dumps([Metric.TEST_ACCURACY])
    columns = study.study_name, trial.number, literal(Occasion.SWEEP.value), complete
    made = select(*columns).join(trial, trial.study_id == study.study_id).join(held, held.study_id == study.study_id)
    made = made.where(*tested, trial.state == TrialState.COMPLETE, complete.is_not(None))
    connection.execute(insert(OLD_LOG).from_select(["study", "trial", "by", "opened"], made))


def _to_4(connection: Connection) -> None:
    """Epochs and the log get their study's token and their trial's number; columns get today's names."""
    tokens = _tokens(connection)
    metadata.tables[workers.name].drop(connection, checkfirst=True)  # no worker lives: see _check_idle
    columns = {column["name"] for column in inspect(connection).get_columns(epochs.name)}
    for old, new in RENAMED.items():
        if old in columns:
            connection.exec_driver_sql(f"ALTER TABLE {epochs.name} RENAME COLUMN {old} TO {new}")
    for column in (epochs.c.study_token, epochs.c.trial_number):
        _add_column(connection, column.name, column.type.compile(connection.dialect))
    trial = models.TrialModel.__table__
    number = select(trial.c.number).where(trial.c.trial_id == epochs.c.trial_id).scalar_subquery()
    connection.execute(update(epochs).values(trial_number=number))
    for study_id, (_, token) in tokens.items():
        own = epochs.c.trial_id.in_(select(trial.c.trial_id).where(trial.c.study_id == study_id))
        connection.execute(update(epochs).where(own).values(study_token=token))
    _relate(connection, dict(tokens.values()))
    _copy_log(connection, dict(tokens.values()))


def _tokens(connection: Connection) -> dict[int, tuple[str, str]]:
    """The name and the token of every study of optbench, by id. Studies without a token get one."""
    study, held = models.StudyModel.__table__, models.StudySystemAttributeModel.__table__
    own = models.StudyUserAttributeModel.__table__
    ours = select(own.c.study_id).where(own.c.key == StudyAttribute.FINGERPRINT.value)
    names = {row[0]: row[1] for row in connection.execute(select(study.c.study_id, study.c.study_name))}
    query = select(held.c.study_id, held.c.value_json).where(held.c.key == TOKEN)
    tokens: dict[int, str] = {row[0]: json.loads(row[1]) for row in connection.execute(query)}
    for study_id in set(connection.scalars(ours)) - tokens.keys():
        tokens[study_id] = uuid.uuid4().hex
        row = {"study_id": study_id, "key": TOKEN, "value_json": json.dumps(tokens[study_id])}
        connection.execute(insert(held).values(**row))
    return {study_id: (names[study_id], token) for study_id, token in tokens.items()}


def _relate(connection: Connection, tokens: dict[str, str]) -> None:
    """Give every confirmation the token of its study, which it knows only by name."""
    own = models.StudyUserAttributeModel.__table__
    related = set(connection.scalars(select(own.c.study_id).where(own.c.key == StudyAttribute.ORIGIN_TOKEN.value)))
    query = select(own.c.study_id, own.c.value_json).where(own.c.key == StudyAttribute.ORIGIN.value)
    for study_id, text in connection.execute(query).all():
        token = tokens.get(json.loads(text))
        if token is not None and study_id not in related:
            row = {"study_id": study_id, "key": StudyAttribute.ORIGIN_TOKEN.value, "value_json": json.dumps(token)}
            connection.execute(insert(own).values(**row))


def _copy_log(connection: Connection, tokens: dict[str, str]) -> None:
    """Move the log to the table of schema 4."""
    if OLD_LOG.name not in inspect(connection).get_table_names():
        return
    test_evaluations.create(connection, checkfirst=True)
    connection.execute(test_evaluations.delete())
    rows = [
        {
            "study_name": row.study,
            "study_token": tokens.get(row.study),
            "trial_number": row.trial,
            "occasion": row.by,
            "evaluated": row.opened,
        }
        for row in connection.execute(select(OLD_LOG).order_by(OLD_LOG.c.id))
    ]
    if rows:
        connection.execute(insert(test_evaluations), rows)
    OLD_LOG.drop(connection)


def _add_column(connection: Connection, name: str, kind: str) -> None:
    if name not in {column["name"] for column in inspect(connection).get_columns(epochs.name)}:
        connection.exec_driver_sql(f"ALTER TABLE {epochs.name} ADD COLUMN {name} {kind}")


def _to_5(_: Connection) -> None:
    """Queue, pool and events are tables of their own, which are made at the end."""


STEPS = {1: _to_2, 2: _to_3, 3: _to_4, 4: _to_5}
