"""Appends trials to a study's list of fixed trials, and keeps why it grows. The trials that exist keep their slots."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy.orm import Session

from optbench.definition.plain import grouped, identity, plain_trial
from optbench.definition.stored import read_sweep
from optbench.definition.sweep import FixedTrial
from optbench.errors import StudyError
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models
from optbench.storage.study_records import UntilDecided


def append_fixed(storage: Storage, study_id: int, expected: int, more: Sequence[FixedTrial]) -> None:
    """Append fixed trials to the study's list if it still has the `expected` length; else change nothing.

    The study's definition and fingerprint get the trials in one transaction, so of several workers that append the
    same trials one does. The total becomes the length of the list, unless it is larger already. Read the study again
    afterwards: another worker may have been first. Raises StudyError if the study is no list of fixed trials.
    """

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        if study is None:
            raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists the studies")
        rows = {row.key: row for row in study.user_attributes}
        definition = json.loads(rows[StudyAttribute.DEFINITION].value_json)
        fingerprint = json.loads(rows[StudyAttribute.FINGERPRINT].value_json)
        sweep = read_sweep(definition)
        if sweep.searches:
            raise StudyError(f"study {study.study_name!r} is a search; only a list of fixed trials can be extended")
        if len(sweep.fixed) != expected:
            return
        longer = [*sweep.fixed, *more]
        definition["trial"] = grouped([plain_trial(trial) for trial in longer])
        fingerprint["trial"] = [*fingerprint["trial"], *map(identity, more)]
        total = max(json.loads(rows[StudyAttribute.TRIALS].value_json), len(longer))
        changed = {
            StudyAttribute.DEFINITION: definition,
            StudyAttribute.FINGERPRINT: fingerprint,
            StudyAttribute.TRIALS: total,
        }
        for key, value in changed.items():
            rows[key].value_json = json.dumps(value)

    storage.write(work)


def note_until_decided(storage: Storage, study_id: int, asked: UntilDecided) -> None:
    """Keep in a confirmation that its seeds are added until a comparison is decided. The latest request counts."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        if study is None:
            raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists the studies")
        key = StudyAttribute.UNTIL_DECIDED.value
        row = next((row for row in study.user_attributes if row.key == key), None)
        if row is None:
            row = models.StudyUserAttributeModel(key=key, value_json="")
            study.user_attributes.append(row)
        row.value_json = json.dumps(asdict(asked))

    storage.write(work)
