"""The artifacts of a study, in Optuna's artifact store: its learning curves and its best configuration."""

import csv
import io
import json
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from optbench.errors import tolerated
from optbench.exports import FORMATS, Format, chosen
from optbench.storage import Storage, StudyRecord, TrialRecord, curves
from optbench.storage.optuna_private import ARTIFACT_PREFIX
from optbench.storage.saved_plots import count_references

log = logging.getLogger(__name__)
CURVES, BEST = "learning-curves.csv", "best.json"
NAMES = uuid.UUID("5f0c7c57-7a4e-4f6e-9f0e-0d5b8a1a2c3d")


def folder(storage: Storage) -> Path:
    """The folder of a database's artifacts: next to an SQLite file, else under the working directory."""
    return (storage.path.parent if storage.path else Path("storage").absolute()) / "artifacts"


class Store:
    """Optuna's artifact store of one database. Databases in the same folder share the folder of artifacts.

    The store reads every file in that folder, so that a copy of a database shows the artifacts of the original. It
    writes to a subfolder of its own, and removes only files that are there and belong to one study only, so that a copy
    never removes the files of the original.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage, self.folder = storage, folder(storage)
        name = storage.path.name if storage.path else f"{storage.url.host}-{storage.url.database}"
        self.own = self.folder / f"of-{name}"

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file's content. Raises ArtifactNotFound."""
        for place in (self.own, self.folder, *sorted(self.folder.glob("of-*"))):
            try:
                return FileSystemArtifactStore(place).open_reader(artifact_id)
            except ArtifactNotFound:
                continue
        raise ArtifactNotFound(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write the file, or replace it. Raises OSError."""
        self.own.mkdir(parents=True, exist_ok=True)
        FileSystemArtifactStore(self.own).write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Delete the file if it belongs to this database and to at most one of its studies."""
        if count_references(self.storage, artifact_id) <= 1:
            with tolerated(log, "an artifact was not deleted", ArtifactNotFound):
                FileSystemArtifactStore(self.own).remove(artifact_id)


def keep(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> None:
    """Write the study's artifacts, and replace earlier ones. Raises OSError."""
    _put(storage, study, CURVES, "text/csv", _curves(storage, study, records))
    if study.searches and study.best is not None:
        _put(storage, study, BEST, "application/json", FORMATS[Format.JSON](chosen(storage, study)))


def remove_all(storage: Storage, study: StudyRecord) -> None:
    """Delete the files of the study's own artifacts; call it before the study is deleted."""
    for artifact in _registered(storage, study):
        with tolerated(log, "an artifact was not deleted", OSError):
            Store(storage).remove(artifact)


def _registered(storage: Storage, study: StudyRecord) -> dict[str, str]:
    """The names of the study's artifacts by their ids."""
    held = storage.optuna.get_study_system_attrs(study.study_id)
    return {
        key.removeprefix(ARTIFACT_PREFIX): json.loads(text)["filename"]
        for key, text in held.items()
        if key.startswith(ARTIFACT_PREFIX)
    }


def _identity(storage: Storage, study: StudyRecord, name: str) -> str:
    """The id of the study's artifact of that name: the existing one, or for a new one a function of study and name."""
    for artifact, filename in _registered(storage, study).items():
        if filename == name and count_references(storage, artifact) == 1:
            return artifact
    return str(uuid.uuid5(NAMES, f"{study.token or storage.url.database}\n{study.study_id}\n{name}"))


def _put(storage: Storage, study: StudyRecord, name: str, kind: str, content: str) -> None:
    identity = _identity(storage, study, name)
    Store(storage).write(identity, io.BytesIO(content.encode()))
    meta = {"artifact_id": identity, "filename": name, "mimetype": kind, "encoding": None}
    storage.optuna.set_study_system_attr(study.study_id, f"{ARTIFACT_PREFIX}{identity}", json.dumps(meta))


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
