"""Our tables, beside Optuna's and in its metadata, so that whoever creates the one creates the other."""

from typing import Any

from optuna.storages._rdb import models as optuna_models
from sqlalchemy import Column, DateTime, Float, ForeignKey, Integer, String, Table

models: Any = optuna_models  # Optuna's tables; private, so the dependency is held to a minor version
metadata = models.BaseModel.metadata
VERSION = 3  # of our tables; upkeep.py brings older ones up to it
AUDIT = "optbench:audit"  # a system attribute of a trial that ran on: the epoch after which it would have been pruned
TOKEN = "optbench:token"  # a system attribute that tells a study from another one that got its id later

schema_version = Table("optbench_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

epochs = Table(
    "optbench_epochs",
    metadata,
    Column("trial_id", ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("train_loss", Float(53)),  # null: not a finite number
    Column("train_accuracy", Float(53), nullable=False),
    Column("validation_loss", Float(53)),  # null: not finite, or no validation images
    Column("validation_accuracy", Float(53)),
    Column("seconds", Float(53), nullable=False),
    Column("rate", Float(53)),  # null: not measured, or not finite; so is the next one
    Column("moved", Float(53)),
)

workers = Table(
    "optbench_workers",
    metadata,
    Column("worker", String(255), primary_key=True),
    Column("study_id", ForeignKey("studies.study_id", ondelete="CASCADE"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("process", Integer, nullable=False),
    Column("beat", DateTime, nullable=False),  # by the database's clock
    Column("grace", Integer, nullable=False),  # seconds: after a silence of so long the worker counts as gone
)

test_evaluations = Table(
    "optbench_openings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", String(512), nullable=False),  # by name: the log outlives a study that is deleted
    Column("trial", Integer, nullable=False),
    Column("by", String(16), nullable=False),  # sweep: the trial's score; replay: looked at again
    Column("opened", DateTime, nullable=False),  # by the database's clock
)

KNOWN = frozenset(metadata.tables) | {"alembic_version"}
