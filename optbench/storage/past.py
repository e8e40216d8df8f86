"""Keeps with a study the trials of another one that its sampler knows, so that it stays as it was begun."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.scheduler.attributes import START
from optbench.scheduler.contract import PastTrial
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models

TOGETHER = 200  # trials in one attribute: MySQL's texts have at most 64 kB


def past_attributes(past: Sequence[PastTrial]) -> dict[str, Any]:
    """The system attributes that hold the past trials."""
    rows = [[dict(trial.params), trial.value, trial.pruned_after] for trial in past]
    return {f"{START}{first:06}": rows[first : first + TOGETHER] for first in range(0, len(rows), TOGETHER)}


def past_trials(storage: Storage, study_id: int) -> list[PastTrial]:
    """The past trials that the study's sampler knows."""
    held = models.StudySystemAttributeModel
    query = select(held.value_json).where(held.study_id == study_id, held.key.startswith(START, autoescape=True))

    def work(session: Session) -> list[PastTrial]:
        texts: Sequence[str] = session.scalars(query.order_by(held.key)).all()
        return [_past(*row) for text in texts for row in json.loads(text)]

    return storage.read(work)


def _past(params: Mapping[str, float], value: float, pruned_after: int | None) -> PastTrial:
    return PastTrial(params, value, pruned_after)
