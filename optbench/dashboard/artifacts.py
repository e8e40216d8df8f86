"""Files that belong to a study, in Optuna's artifact store: its learning curves, and its best configuration."""

import csv
import io
import json
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from optbench.errors import tolerated
from optbench.exports import FORMATS, Format, chosen
from optbench.storage import TOKEN, Storage, StudyRecord, TrialRecord, curves

log = logging.getLogger(__name__)
CURVES, BEST = "learning-curves.csv", "best.json"
NAMES = uuid.UUID("5f0c7c57-7a4e-4f6e-9f0e-0d5b8a1a2c3d")


def folder(storage: Storage) -> Path:
    """Where the artifacts of a database lie: beside a SQLite file, else under the working directory."""
    return (storage.path.parent if storage.path else Path("storage").absolute()) / "artifacts"


def store(place: Path) -> FileSystemArtifactStore:
    """Optuna's store in that folder."""
    return FileSystemArtifactStore(place)


def keep(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> None:
    """Write the study's artifacts, each over the one that was there before. Raises OSError."""
    folder(storage).mkdir(parents=True, exist_ok=True)
    _put(storage, study, CURVES, "text/csv", _curves(storage, study, records))
    if study.searches and study.best is not None:
        _put(storage, study, BEST, "application/json", FORMATS[Format.JSON](chosen(storage, study)))


def identities(storage: Storage, study: StudyRecord) -> list[str]:
    """The ids of the study's artifacts."""
    return [_identity(storage, study, name) for name in (CURVES, BEST)]


def remove(storage: Storage, ids: Sequence[str]) -> None:
    """Delete the files of these artifacts, as far as they are there."""
    for identity in ids:
        with tolerated(log, "an artifact was not deleted", ArtifactNotFound, OSError):
            store(folder(storage)).remove(identity)


def _identity(storage: Storage, study: StudyRecord, name: str) -> str:
    """A function of study and name, so that writing again replaces, also from a copy of the database."""
    token = storage.optuna.get_study_system_attrs(study.study_id).get(TOKEN, storage.url.database)
    return str(uuid.uuid5(NAMES, f"{token}\n{study.study_id}\n{study.name}\n{name}"))


def _put(storage: Storage, study: StudyRecord, name: str, kind: str, content: str) -> None:
    identity = _identity(storage, study, name)
    store(folder(storage)).write(identity, io.BytesIO(content.encode()))
    meta = {"artifact_id": identity, "filename": name, "mimetype": kind, "encoding": None}
    storage.optuna.set_study_system_attr(study.study_id, f"artifacts:{identity}", json.dumps(meta))


def _curves(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    measured = "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"
    columns = *measured, "seconds", "effective_lr", "weight_distance"
    table.writerow(["trial", "state", "optimizer", "epoch", *columns])
    found = curves(storage, study.study_id)
    for record in records:
        for row in found.get(record.trial_id, []):
            values = [getattr(row, column) for column in columns]
            table.writerow([record.number, record.state, record.optimizer, row.epoch, *values])
    return text.getvalue()
