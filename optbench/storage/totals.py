"""A study's total of trials, which people may change while it is trained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from optbench.definition.stored import read_sweep
from optbench.errors import TotalError, counted
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models
from optbench.storage.workers import alive


@dataclass(frozen=True)
class NewTotal:
    """A total of trials, with the attributes of the study that are written again with it."""

    trials: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


def set_total(storage: Storage, study_id: int, new: NewTotal) -> bool:
    """Whether the study has this total now: see `write_total`."""
    return storage.write(lambda session: write_total(session, study_id, new))


def write_total(session: Session, study_id: int, new: NewTotal) -> bool:
    """Whether the total and its attributes were written. It locks the study.

    They are not if live workers train towards a larger total, or if the study's list of fixed trials was extended since
    the attributes were made from it.
    """
    study = session.get(models.StudyModel, study_id, with_for_update=True)
    rows = {row.key: row for row in study.user_attributes} if study else {}
    row = rows.get(StudyAttribute.TRIALS)
    if row is None or _extended(rows, new.attributes):
        return False
    if json.loads(row.value_json) > new.trials and alive(session, study_id):
        return False
    for key, value in {**new.attributes, StudyAttribute.TRIALS: new.trials}.items():
        rows[key].value_json = json.dumps(value)
    return True


def trained_further(name: str, total: int) -> TotalError:
    """Why `write_total` did not write the total."""
    return TotalError(
        f"study {name!r} has workers that train towards more than {counted(total, 'trial')}; pause it, and give it "
        "fewer once they have left"
    )


def _extended(rows: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    """Whether the study's list of fixed trials is longer than the one in the new definition."""
    key = StudyAttribute.DEFINITION
    if key not in held or key not in rows:
        return False
    now, new = read_sweep(json.loads(rows[key].value_json)), read_sweep(held[key])
    return not now.searches and len(now.fixed) > len(new.fixed)
