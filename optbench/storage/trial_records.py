"""Reads trials and their curves back, as plain records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.follow import read_trials
from optbench.storage.schema import ATTACHED, AUDIT, epochs, models
from optbench.training.contract import Epoch


@dataclass(frozen=True)
class TrialRecord:
    """One trial's row. `value` is its objective, only when it is complete; `epochs` is how many it trained.

    `last` is the end of its learning curve, also when it was pruned.
    """

    number: int
    trial_id: int
    state: str
    value: float | None
    last: float | None
    label: str | None
    source_trial: int | None  # of a confirmation: the search's trial that has this configuration
    optimizer: str
    params: Mapping[str, float]
    hyperparameters: Mapping[str, float]
    seed: int | None
    epochs: int
    lanes: int | None
    trainer: str | None
    device: str | None
    reason: str | None
    audit: int | None  # the epoch after which it would have been pruned, had it not been chosen to run on
    started: datetime | None  # in local time, as is the end
    ended: datetime | None
    seconds: float  # of its epochs
    slot: int | None  # its place in the study's budget; None: another program's trial
    worker: str | None  # the name of the worker that claimed it


def trials(storage: Storage, study_id: int) -> list[TrialRecord]:
    """Every trial of the study, by number."""

    def work(session: Session) -> list[TrialRecord]:
        query = (
            select(epochs.c.trial_id, func.count(), func.sum(epochs.c.seconds))
            .select_from(ATTACHED)
            .where(models.TrialModel.study_id == study_id)
            .group_by(epochs.c.trial_id)
        )
        trained: dict[int, tuple[int, float]] = {row[0]: (row[1], row[2]) for row in session.execute(query)}
        found = read_trials(session, study_id)
        return [trial_record(trial, *trained.get(trial._trial_id, (0, 0.0))) for trial in found]

    return storage.read(work)


def curve(storage: Storage, trial_id: int) -> list[Epoch]:
    """Every epoch of a trial, in order; a loss that was not finite reads as NaN."""
    query = select(epochs).select_from(ATTACHED).where(epochs.c.trial_id == trial_id).order_by(epochs.c.epoch)
    return storage.read(lambda session: [_epoch(row) for row in session.execute(query)])


def curves(storage: Storage, study_id: int) -> dict[int, list[Epoch]]:
    """Every epoch of every trial of the study, by trial id."""
    query = select(epochs).select_from(ATTACHED).where(models.TrialModel.study_id == study_id)

    def work(session: Session) -> dict[int, list[Epoch]]:
        found: dict[int, list[Epoch]] = {}
        for row in session.execute(query.order_by(epochs.c.trial_id, epochs.c.epoch)):
            found.setdefault(row.trial_id, []).append(_epoch(row))
        return found

    return storage.read(work)


def trial_record(trial: FrozenTrial, trained: int, seconds: float = 0.0) -> TrialRecord:
    """The record of a trial as Optuna reads it, which trained so many epochs in so many seconds."""
    attrs = trial.user_attrs
    state = {"fail": "failed"}.get(trial.state.name.lower(), trial.state.name.lower())
    if attrs.get("diverged"):
        state = "diverged"
    return TrialRecord(
        number=trial.number,
        trial_id=trial._trial_id,
        state=state,
        value=trial.values[0] if trial.state == TrialState.COMPLETE else None,
        last=trial.intermediate_values[trial.last_step] if trial.last_step is not None else None,
        label=attrs.get("label"),
        source_trial=attrs.get("source_trial"),
        optimizer=attrs.get("optimizer", "?"),
        params=trial.params,
        hyperparameters=attrs.get("hyperparameters", {}),
        seed=attrs.get("seed"),
        epochs=trained,
        lanes=attrs.get("lanes"),
        trainer=attrs.get("trainer"),
        device=attrs.get("device"),
        reason=attrs.get("reason"),
        audit=trial.system_attrs.get(AUDIT),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
        seconds=seconds,
        slot=attrs.get("slot"),
        worker=attrs.get("worker"),
    )


def _epoch(row: Any) -> Epoch:
    validated = row.validation_accuracy is not None
    lost = float("nan")
    return Epoch(
        row.epoch,
        lost if row.train_loss is None else row.train_loss,
        row.train_accuracy,
        (lost if row.validation_loss is None else row.validation_loss) if validated else None,
        row.validation_accuracy,
        row.seconds,
        row.effective_lr,
        row.weight_distance,
    )


def distinct(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records without those whose configuration an earlier one has."""
    firsts: dict[Any, TrialRecord] = {}
    for record in records:
        firsts.setdefault((record.optimizer, *sorted(record.hyperparameters.items())), record)
    return list(firsts.values())


def best_trials(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, best value first; pruned and diverged ones never win, nor do those of other programs."""
    complete = [record for record in records if record.state == "complete" and record.hyperparameters]
    return sorted(complete, key=lambda record: (-(record.value or 0.0), record.number))
