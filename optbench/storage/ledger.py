"""Writes what one worker does to one study. Every method is one short transaction; none of them decides anything."""

import json
import math
import os
import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from optbench.job import Ending, Epoch, Verdict
from optbench.storage.engine import Storage
from optbench.storage.schema import epochs, models, workers

GRACE = timedelta(seconds=60)  # a worker silent for so long is gone, and its running trials are given to others
STATES = {
    Verdict.COMPLETE: TrialState.COMPLETE,
    Verdict.DIVERGED: TrialState.COMPLETE,
    Verdict.PRUNED: TrialState.PRUNED,
    Verdict.INTERRUPTED: TrialState.FAIL,
}


@dataclass(frozen=True)
class Claim:
    """A new trial's row, taken for one slot of the study's budget; `trials` is the study as it was then."""

    trial_id: int
    number: int
    slot: int
    trials: Sequence[FrozenTrial]


def open_study(storage: Storage, name: str, metric: str, attributes: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The id and the attributes of the study of that name, made with these attributes if there is none."""
    with storage.writing() as session:
        study = models.StudyModel.find_by_name(name, session)
        if study is None:
            study = models.StudyModel(study_name=name)
            study.directions = [models.StudyDirectionModel(objective=0, direction=StudyDirection.MAXIMIZE)]
            study.user_attributes = [
                models.StudyUserAttributeModel(key=key, value_json=json.dumps(value))
                for key, value in attributes.items()
            ]
            names = models.StudySystemAttributeModel(key="study:metric_names", value_json=json.dumps([metric]))
            study.system_attributes = [names]
            session.add(study)
            session.flush()
        return study.study_id, {a.key: json.loads(a.value_json) for a in study.user_attributes}


class Ledger:
    """The writing side of a study, for one worker."""

    def __init__(self, storage: Storage, study_id: int) -> None:
        self.storage, self.study_id = storage, study_id
        self.worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        with storage.writing() as session:
            session.execute(
                insert(workers).values(
                    worker=self.worker, host=socket.gethostname(), process=os.getpid(), beat=func.now()
                )
            )

    def trials(self) -> list[FrozenTrial]:
        """Every trial of the study, in the order of their numbers; only what changed is read again."""
        return list(self.storage.cached.get_all_trials(self.study_id, deepcopy=False))

    def claim(self, choose: Callable[[Sequence[FrozenTrial]], int | None]) -> Claim | None:
        """A running row for the slot that `choose` takes, or None if it takes none; no two workers get the same."""
        with self.storage.writing() as session:
            session.get(models.StudyModel, self.study_id, with_for_update=True)
            trials = self.trials()
            slot = choose(trials)
            if slot is None:
                return None
            trial = models.TrialModel(number=len(trials), study_id=self.study_id, state=TrialState.RUNNING)
            trial.datetime_start = datetime.now()
            trial.user_attributes = _attributes({"slot": slot, "worker": self.worker})
            session.add(trial)
            session.flush()
            session.execute(delete(epochs).where(epochs.c.trial_id == trial.trial_id))  # SQLite uses an id again
            return Claim(trial.trial_id, len(trials), slot, trials)

    def begin(
        self,
        trial_id: int,
        params: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        attributes: Mapping[str, Any],
    ) -> None:
        """Write what a claimed trial is going to train."""
        with self.storage.writing() as session:
            session.add_all(
                models.TrialParamModel(
                    trial_id=trial_id,
                    param_name=name,
                    param_value=distributions[name].to_internal_repr(value),
                    distribution_json=distribution_to_json(distributions[name]),
                )
                for name, value in params.items()
            )
            session.add_all(_attributes(attributes, trial_id))

    def record(
        self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending], marks: Mapping[int, Mapping[str, Any]]
    ) -> set[int]:
        """Write one round, by trial id: each trial's epoch with its point of the learning curve, the ends, and what a
        pruner wants to find again (`marks`, system attributes that are new).

        Returns the trials that are no longer this worker's: deleted, or given away after it had been silent.
        """
        with self.storage.writing() as session:
            asked = {*trained, *endings}
            query = select(models.TrialModel).where(
                models.TrialModel.trial_id.in_(asked), models.TrialModel.state == TrialState.RUNNING
            )
            ours = {trial.trial_id: trial for trial in session.scalars(query.with_for_update())}
            rows = [_row(trial_id, epoch) for trial_id, epoch in trained.items() if trial_id in ours]
            if rows:
                session.execute(insert(epochs), rows)
                session.execute(
                    insert(models.TrialIntermediateValueModel),
                    [_point(row["trial_id"], row["epoch"], trained[row["trial_id"]].objective) for row in rows],
                )
            for trial_id in marks.keys() & ours.keys():
                session.add_all(_attributes(marks[trial_id], trial_id, models.TrialSystemAttributeModel))
            for trial_id, ending in endings.items():
                if trial_id in ours:
                    _end(ours[trial_id], ending)
            return asked - set(ours)

    def beat(self) -> None:
        """Say that this worker lives, and end the running trials of workers that are gone: their slots become free."""
        with self.storage.writing() as session:
            session.execute(update(workers).where(workers.c.worker == self.worker).values(beat=func.now()))
            living = alive(session)
            self._end_running(session, lambda worker: worker not in living)

    def leave(self) -> None:
        """Say that this worker is gone; a trial that it claimed and never got to train ends here."""
        with self.storage.writing() as session:
            self._end_running(session, lambda worker: worker == self.worker)
            session.execute(delete(workers).where(workers.c.worker == self.worker))

    def _end_running(self, session: Session, concerns: Callable[[str | None], bool]) -> None:
        for trial, worker in running(session, self.study_id):
            if concerns(worker):
                trained = session.scalar(select(func.count()).where(epochs.c.trial_id == trial.trial_id))
                _end(trial, Ending(Verdict.INTERRUPTED, None, trained or 0, f"worker {worker} is gone"))


def running(session: Session, study_id: int) -> list[tuple[Any, str | None]]:
    """The running trials of a study, each with its worker."""
    of_study = (models.TrialModel.study_id == study_id, models.TrialModel.state == TrialState.RUNNING)
    found = session.scalars(select(models.TrialModel).where(*of_study)).all()
    return [(t, {a.key: json.loads(a.value_json) for a in t.user_attributes}.get("worker")) for t in found]


def alive(session: Session) -> set[str]:
    """The workers whose last beat is younger than GRACE, by the database's clock."""
    now = session.execute(select(func.now())).scalar_one().replace(tzinfo=None)
    return {row.worker for row in session.execute(select(workers)) if now - row.beat < GRACE}


def _attributes(
    values: Mapping[str, Any], trial_id: int | None = None, kind: Any = models.TrialUserAttributeModel
) -> list[Any]:
    return [kind(trial_id=trial_id, key=key, value_json=json.dumps(value)) for key, value in values.items()]


def _row(trial_id: int, epoch: Epoch) -> dict[str, Any]:
    values = {key: value if math.isfinite(value or 0.0) else None for key, value in vars(epoch).items()}
    return {"trial_id": trial_id, **values}


def _point(trial_id: int, step: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"trial_id": trial_id, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _end(trial: Any, ending: Ending) -> None:
    trial.state = STATES[ending.verdict]
    trial.datetime_complete = datetime.now()
    attributes: dict[str, Any] = {"epochs": ending.epochs, "diverged": ending.verdict is Verdict.DIVERGED}
    if ending.reason is not None:
        attributes["reason"] = ending.reason
    trial.user_attributes.extend(_attributes(attributes, trial.trial_id))
    if ending.value is not None:
        value, kind = models.TrialValueModel.value_to_stored_repr(ending.value)
        trial.values.append(models.TrialValueModel(objective=0, value=value, value_type=kind))
