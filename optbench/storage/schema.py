"""Our tables, declared in the same metadata as Optuna's, so that both are created together."""

from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Float, ForeignKey, Integer, String, Table, and_, literal

from optbench.scheduler.attributes import StudySystemAttribute
from optbench.storage.optuna_private import models

metadata = models.BaseModel.metadata
VERSION = 5  # of our tables; upgrade.py brings older ones up to it
TOKEN = StudySystemAttribute.TOKEN.value

schema_version = Table("optbench_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

epochs = Table(
    "optbench_epochs",
    metadata,
    Column("trial_id", ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("train_loss", Float(53)),  # null: not a finite number
    Column("train_accuracy", Float(53), nullable=False),
    Column("validation_loss", Float(53)),  # null: not finite, or no validation examples
    Column("validation_accuracy", Float(53)),
    Column("seconds", Float(53), nullable=False),
    Column("effective_lr", Float(53)),  # null: not measured or not finite, as in the next column
    Column("weight_distance", Float(53)),
    Column("study_token", String(32)),  # together with the number, it identifies the trial: see ATTACHED
    Column("trial_number", Integer),
)

_held = models.StudySystemAttributeModel.__table__
_trials = models.TrialModel.__table__


def _has_token(column: Any) -> Any:
    """Whether the attribute is a study's token, and the one in the column."""
    return and_(_held.c.key == TOKEN, _held.c.value_json == literal('"') + column + literal('"'))


# An epoch belongs to the trial at its trial_id only if that trial also has its number, in a study that has its token.
# SQLite gives the id of a deleted trial to the next new one, and Optuna's own programs delete without foreign keys, so
# a row may outlive its trial and end up at another trial's id. Every query that reads epochs uses this join.
_same_trial = and_(_trials.c.trial_id == epochs.c.trial_id, _trials.c.number == epochs.c.trial_number)
_same_study = and_(_held.c.study_id == _trials.c.study_id, _has_token(epochs.c.study_token))
ATTACHED = epochs.join(_trials, _same_trial).join(_held, _same_study)

workers = Table(
    "optbench_workers",
    metadata,
    Column("worker", String(255), primary_key=True),
    Column("study_id", ForeignKey("studies.study_id", ondelete="CASCADE"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("process", Integer, nullable=False),
    Column("heartbeat", DateTime, nullable=False),  # when the last heartbeat was written, by the database's clock
    Column("timeout", Integer, nullable=False),  # seconds after its last heartbeat at which the worker counts as dead
)

test_evaluations = Table(
    "optbench_test_evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_name", String(512), nullable=False),  # updated by `rename_study`; the log outlives a deleted study
    Column("study_token", String(32)),  # null in a log from before there were tokens
    Column("trial_number", Integer, nullable=False),
    Column("occasion", String(16), nullable=False),  # a test_log.Occasion
    Column("evaluated", DateTime, nullable=False),  # by the database's clock
)

queue = Table(  # the studies that people submitted and that are not finished
    "optbench_queue",
    metadata,
    Column("study_id", ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("study_token", String(32), nullable=False),  # the row counts only if the study has it: ids are used again
    Column("wish", String(8), nullable=False),  # a states.Wish
    Column("priority", Integer, nullable=False),
    Column("max_workers", Integer),  # null: any number
    Column("label", String(100)),
    Column("needs", String(8)),  # a states.Need; null: nothing
    Column("owner", String(100), nullable=False),
    Column("submitted", DateTime, nullable=False),  # by the database's clock, as all times here
    Column("asked", DateTime, nullable=False),  # when it was last submitted or resumed
    Column("problem", String(1000)),  # why it can never run; null: none is known
)
QUEUED = queue.join(_held, and_(_held.c.study_id == queue.c.study_id, _has_token(queue.c.study_token)))

pool = Table(  # the long-lived workers, each with the study that it trains
    "optbench_pool",
    metadata,
    Column("worker", String(255), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("process", Integer, nullable=False),
    Column("label", String(100)),
    Column("gpu", Boolean, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("started", DateTime, nullable=False),
    Column("heartbeat", DateTime, nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("draining", Boolean, nullable=False),  # whether it was asked to finish its trials and end
    Column("study_id", Integer),  # null: it is idle
)

events = Table(
    "optbench_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),
    Column("kind", String(24), nullable=False),  # an event_log.EventKind
    Column("study_name", String(512)),
    Column("worker", String(255)),
    Column("text", String(1000), nullable=False),
)

receivers = Table(  # who is told of events, and how far they are
    "optbench_receivers",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("last_event", Integer, nullable=False),
)

KNOWN = frozenset(metadata.tables) | {"alembic_version"}
