"""Reads trials and their learning curves, as plain records."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from optbench.optimizers.contract import Written
from optbench.optimizers.spelling import on_one_line, spelled
from optbench.scheduler.attributes import TrialAttribute, TrialSystemAttribute
from optbench.scheduler.states import STOPPED, State
from optbench.storage.engine import Storage
from optbench.storage.facts import chances
from optbench.storage.finals_records import FinalsRecord
from optbench.storage.follow import read_trials
from optbench.storage.optuna_private import models, trial_id_of
from optbench.storage.rows import interrupted
from optbench.storage.schema import ATTACHED, epochs
from optbench.storage.workers import alive
from optbench.training.contract import Epoch

_STUDY = models.TrialModel.__table__.c.study_id


@dataclass(frozen=True, repr=False)
class TrialRecord:
    """One trial.

    `value` is the objective of a complete or diverged trial. `last` is the end of the learning curve of any trial.
    `epochs` is how many it has trained.
    """

    number: int
    trial_id: int
    state: State
    value: float | None
    last: float | None
    label: str | None
    source_trial: int | None  # in a confirmation: the number of the search's trial with this configuration
    optimizer: str
    params: Mapping[str, float]
    hyperparameters: Mapping[str, float]
    seed: int | None
    epochs: int
    lanes: int | None
    trainer: str | None
    device: str | None
    threads: int | None  # that share an operation; None if nobody chose, and for earlier versions, which had 1
    numerics: int  # the version of the trainer's arithmetic
    xla: bool | None  # whether XLA compiled its training; None if Keras decided, and for trials of earlier versions
    reason: str | None
    audit: int | None  # the epoch after which it would have been pruned, had the audit not let it run on
    started: datetime | None  # in local time, as is `ended`
    ended: datetime | None
    seconds: float  # the sum over its epochs
    slot: int | None  # its place in the study's budget; None: another program's trial
    worker: str | None  # the name of the worker that claimed it
    retries: int = 0  # how many earlier trials of its slot had its parameters and failed or lost their worker

    @property
    def settings(self) -> Mapping[str, Written]:
        """Its hyperparameters as sweep files have them: a schedule by its name, a batch size as a whole number."""
        return spelled(self.optimizer, self.hyperparameters)

    @property
    def accuracy(self) -> float | None:
        """Its value, or the end of its learning curve if it has none."""
        return self.last if self.value is None else self.value

    def __repr__(self) -> str:
        """The trial in one short line. Values of other programs' trials may be no accuracies."""
        end = self.accuracy
        accuracy = "" if end is None else f" at {100 * end:.2f} %" if self.hyperparameters else f" at {end:g}"
        settings = on_one_line(self.optimizer, self.hyperparameters, between=", ")
        chosen = ", ".join(filter(None, [self.optimizer, settings]))
        return f"<trial {self.number}: {self.state} after {self.epochs} epochs{accuracy}, {chosen}>"


def trials(storage: Storage, study_id: int) -> list[TrialRecord]:
    """Every trial of the study, by number."""
    return trials_of(storage, [study_id])[study_id]


def trials_of(storage: Storage, study_ids: Collection[int]) -> dict[int, list[TrialRecord]]:
    """The trials of each study, by number, in a number of queries that does not grow with the number of studies."""

    def work(session: Session) -> dict[int, list[TrialRecord]]:
        trained = {row[0]: row[1:] for row in session.execute(_lengths(study_ids))}
        found = read_trials(session, study_ids)
        living = alive(session)
        return {
            study_id: _with_retries([_live(trial_record(t, *trained.get(trial_id_of(t), ())), living) for t in own])
            for study_id, own in found.items()
        }

    return storage.read(work)


def _lengths(study_ids: Collection[int]) -> Select[Any]:
    """The number of epochs of each trial of the studies, and their seconds."""
    query = select(epochs.c.trial_id, func.count(), func.sum(epochs.c.seconds)).select_from(ATTACHED)
    return query.where(_STUDY.in_(study_ids)).group_by(epochs.c.trial_id)


def _live(record: TrialRecord, living: Collection[str]) -> TrialRecord:
    """The record. A running trial of a dead worker is interrupted, even if no other worker has written that yet."""
    if record.state is not State.RUNNING or record.worker is None or record.worker in living:
        return record
    return replace(record, state=State.INTERRUPTED, reason=f"worker {record.worker} died")


def _with_retries(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records, by number, each with the number of earlier tries of its parameters in its slot."""
    failed: Counter[Any] = Counter()
    counted = []
    for record in records:
        tried = record.slot, *sorted(record.params.items())
        counted.append(replace(record, retries=failed[tried]) if record.slot is not None else record)
        if record.state in (State.FAILED, State.INTERRUPTED) and record.reason != STOPPED:
            failed[tried] += 1
    return counted


def curve(storage: Storage, trial_id: int) -> list[Epoch]:
    """Every epoch of a trial, in order. A loss that was not finite is NaN."""
    query = select(epochs, _STUDY).select_from(ATTACHED).where(epochs.c.trial_id == trial_id).order_by(epochs.c.epoch)

    def work(session: Session) -> list[Epoch]:
        rows = session.execute(query).all()
        chance = chances(session, {row.study_id for row in rows})
        return [_epoch(row, chance[row.study_id]) for row in rows]

    return storage.read(work)


def curves(storage: Storage, study_id: int) -> dict[int, list[Epoch]]:
    """Every epoch of every trial of the study, by trial id."""
    return curves_of(storage, [study_id])


def curves_of(storage: Storage, study_ids: Collection[int]) -> dict[int, list[Epoch]]:
    """Every epoch of every trial of the studies, in order, by trial id; read in one query."""
    return storage.read(lambda session: read_curves(session, study_ids))


def read_curves(session: Session, study_ids: Collection[int]) -> dict[int, list[Epoch]]:
    """What `curves_of` returns, read in an open session."""
    query = select(epochs, _STUDY).select_from(ATTACHED).where(_STUDY.in_(study_ids))
    found: dict[int, list[Epoch]] = {}
    chance = chances(session, study_ids)
    for row in session.execute(query.order_by(epochs.c.trial_id, epochs.c.epoch)):
        found.setdefault(row.trial_id, []).append(_epoch(row, chance[row.study_id]))
    return found


def trial_record(trial: FrozenTrial, trained: int = 0, seconds: float = 0.0) -> TrialRecord:
    """The record of a trial as Optuna reads it, with the number of its epochs and their seconds."""
    attrs = trial.user_attrs
    reason = attrs.get(TrialAttribute.REASON)
    return TrialRecord(
        number=trial.number,
        trial_id=trial_id_of(trial),
        state=_state(trial, reason),
        value=trial.values[0] if trial.state == TrialState.COMPLETE else None,
        last=trial.intermediate_values[trial.last_step] if trial.last_step is not None else None,
        label=attrs.get(TrialAttribute.LABEL),
        source_trial=attrs.get(TrialAttribute.SOURCE_TRIAL),
        optimizer=attrs.get(TrialAttribute.OPTIMIZER, "?"),
        params=trial.params,
        hyperparameters=attrs.get(TrialAttribute.HYPERPARAMETERS, {}),
        seed=attrs.get(TrialAttribute.SEED),
        epochs=trained,
        lanes=attrs.get(TrialAttribute.LANES),
        trainer=attrs.get(TrialAttribute.TRAINER),
        device=attrs.get(TrialAttribute.DEVICE),
        threads=attrs.get(TrialAttribute.THREADS),
        numerics=attrs.get(TrialAttribute.NUMERICS, 1),
        xla=attrs.get(TrialAttribute.XLA),
        reason=reason,
        audit=trial.system_attrs.get(TrialSystemAttribute.AUDIT),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
        seconds=seconds,
        slot=attrs.get(TrialAttribute.SLOT),
        worker=attrs.get(TrialAttribute.WORKER),
    )


def _state(trial: FrozenTrial, reason: str | None) -> State:
    if trial.user_attrs.get(TrialAttribute.DIVERGED):
        return State.DIVERGED
    if trial.state == TrialState.FAIL:
        return State.INTERRUPTED if interrupted(reason) else State.FAILED
    return State(trial.state.name.lower())


def _epoch(row: Any, chance: float) -> Epoch:
    lost = float("nan")
    validated = row.validation_accuracy is not None
    return Epoch(
        epoch=row.epoch,
        train_loss=lost if row.train_loss is None else row.train_loss,
        train_accuracy=row.train_accuracy,
        validation_loss=(lost if row.validation_loss is None else row.validation_loss) if validated else None,
        validation_accuracy=row.validation_accuracy,
        seconds=row.seconds,
        effective_lr=row.effective_lr,
        weight_distance=row.weight_distance,
        chance=chance,
    )


def distinct(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records, without those that repeat the configuration of an earlier one."""
    firsts: dict[Any, TrialRecord] = {}
    for record in records:
        firsts.setdefault((record.optimizer, *sorted(record.hyperparameters.items())), record)
    return list(firsts.values())


def best_first(finals: FinalsRecord | None, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """A search's trials, best first: the finalists once its finals are done, then the other complete trials by value.

    The first one is the best of the study.
    """
    order = [one.trial for one in finals.finalists] if finals is not None and finals.done else []
    by_number = {record.number: record for record in records}
    finalists = [by_number[number] for number in order if number in by_number]
    return [*finalists, *(record for record in best_trials(records) if record.number not in order)]


def winner_first(finals: FinalsRecord | None, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials by the value of their single runs, after the winner of the search's finals if they are done.

    The other finalists have no place of their own: a known setting is one of them, however bad it is.
    """
    winner = finals.winner.trial if finals is not None and finals.winner is not None else None
    chosen = [record for record in records if record.number == winner]
    return [*chosen, *(record for record in best_trials(records) if record.number != winner)]


def best_trials(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials of optbench, best value first. Pruned and diverged trials are left out."""
    complete = [record for record in records if record.state is State.COMPLETE and record.hyperparameters]
    return sorted(complete, key=lambda record: (-(record.value or 0.0), record.number))
