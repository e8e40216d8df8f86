"""A study as programs that track experiments have it: an experiment of runs, a run of steps.

A run has what the trial's row says, and its steps the trial's epochs. Only a study that is scored on the test set, for
example a confirmation, has a test accuracy. Each study is an experiment of its own, so no search's run ever has one.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from optbench.errors import StudyError
from optbench.optimizers.contract import Written as Setting
from optbench.optimizers.spelling import spelled
from optbench.scheduler.finals import Finalist
from optbench.scheduler.states import Metric, State
from optbench.storage import Storage, StudyRecord, TrialRecord, curves, studies, sweep_of, trials
from optbench.training.contract import Epoch

Facts = dict[str, Setting]
TEST_ACCURACY = "test_accuracy"
VALUE = "value"
NOT_METRICS = ("epoch", "chance")  # the fields of Epoch that are no measurement


@dataclass(frozen=True)
class Step:
    """An epoch: its number, when it ended in seconds since 1970, and what was measured. Losses may be NaN."""

    epoch: int
    time: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """A trial. `number` is its identity in the study; times are seconds since 1970.

    `params` are its hyperparameters, optimizer and seed. `about` is known from its beginning on, and `outcome` may
    change until it ends. `result` is its score: `value`, or `test_accuracy` in a study that is scored on the test set;
    empty until it has one. `finals` is what the search's finals say of it. `end` is None until it ended.
    """

    number: int
    state: State
    start: float
    end: float | None
    params: Facts
    about: Facts
    outcome: Facts
    finals: Facts
    steps: Sequence[Step]
    result: Mapping[str, float]


@dataclass(frozen=True)
class Experiment:
    """A study. `token` is its identity, which a rename does not change; `about` is what all its trials share.

    `derived` are the names of the studies that train its configurations again: its finals and confirmations.
    """

    name: str
    token: str
    about: Facts
    runs: Sequence[Run]
    derived: Sequence[str]


@dataclass(frozen=True)
class Written:
    """What an export wrote: into which experiment or folder, and how many runs and epochs were new there."""

    where: str
    runs: int
    created: int
    epochs: int


def experiment_of(storage: Storage, study: StudyRecord) -> Experiment:
    """The study as an experiment. Raises StudyError if another program made or copied it.

    Trials are read before their epochs, so that a trial that has ended has all of them.
    """
    sweep_of(study)
    others = studies(storage)
    owner = next((one.name for one in others if one.token == study.token), None)
    if study.token is None or owner != study.name:
        raise StudyError(
            f"study {study.name!r} was copied by another program, so its epochs are not its own; export the original, "
            "or copy that with `optbench copy`"
        )
    records = trials(storage, study.study_id)
    epochs = curves(storage, study.study_id)
    done = study.finals is not None and study.finals.done
    finalists = list(study.finals.finalists) if study.finals is not None and done else []
    ranks = {one.trial: (rank, one) for rank, one in enumerate(finalists, start=1)}
    return Experiment(
        name=study.name,
        token=study.token,
        about=_about_study(study),
        runs=[
            _run(study, record, epochs.get(record.trial_id, ()), ranks.get(record.number))
            for record in records
            if _has_begun(record)
        ],
        derived=[other.name for other in others if other.derives_from(study)],
    )


def _has_begun(record: TrialRecord) -> bool:
    """Whether it is a trial of optbench with its hyperparameters, which a claimed one gets a moment later."""
    return record.slot is not None and (bool(record.hyperparameters) or record.ended is not None)


def _run(study: StudyRecord, record: TrialRecord, epochs: Sequence[Epoch], final: tuple[int, Finalist] | None) -> Run:
    start, end = _seconds(record.started) or 0.0, _seconds(record.ended)
    hparams = spelled(record.optimizer, {**record.params, **record.hyperparameters})
    outcome: Facts = {"state": str(record.state), "epochs": len(epochs), "seconds": round(record.seconds, 3)}
    scored = TEST_ACCURACY if study.metric == Metric.TEST_ACCURACY else VALUE
    return Run(
        number=record.number,
        state=record.state,
        start=start,
        end=end,
        params=_known(optimizer=record.optimizer, seed=record.seed) | hparams,
        about=_about_trial(study, record),
        outcome=outcome | _known(reason=record.reason, audit=record.audit),
        finals={} if final is None else _in_finals(*final),
        steps=list(_steps(record, epochs, start, end)),
        result={} if record.value is None else {scored: record.value},
    )


def _steps(record: TrialRecord, epochs: Sequence[Epoch], start: float, end: float | None) -> Iterator[Step]:
    """The epochs, each with the time at which it ended as nearly as the database tells.

    It has the trial's start and end, and of an epoch the trial's share of the time that its lanes took together.
    """
    names = [field.name for field in fields(Epoch) if field.name not in NOT_METRICS]
    time, last = start, math.inf if end is None else end
    for epoch in epochs:
        time += epoch.seconds * (record.lanes or 1)
        measured = {name: value for name in names if (value := getattr(epoch, name)) is not None}
        yield Step(epoch=epoch.epoch, time=min(time, last), metrics=measured)


def _about_trial(study: StudyRecord, record: TrialRecord) -> Facts:
    return _known(
        study=study.name,
        number=record.number,
        slot=record.slot,
        label=record.label,
        origin=study.origin,
        source_trial=record.source_trial,
        retries=record.retries or None,
        worker=record.worker,
        trainer=record.trainer,
        device=record.device,
        lanes=record.lanes,
        threads=record.threads,
        xla=record.xla,
    )


def _about_study(study: StudyRecord) -> Facts:
    """What is the same for all trials: what the study is for, its sweep, its fingerprint and versions."""
    sweep = sweep_of(study)
    own = _known(
        study=study.name,
        role=study.role and str(study.role),
        origin=study.origin,
        sweep=sweep.name,
        owner=study.about.owner,
        tags=", ".join(study.about.tags) or None,
        optimizer=study.optimizer,
        metric=study.metric,
        trials=study.total,
    )
    versions = {f"versions.{name}": version for name, version in study.versions.items()}
    return own | versions | {f"fingerprint.{key}": _text(value) for key, value in study.fingerprint.items()}


def _in_finals(rank: int, finalist: Finalist) -> Facts:
    """What the finals say of a trial: its mean validation accuracy over fresh seeds, and its place."""
    return {"finals.rank": rank, "finals.mean": finalist.mean, "finals.seeds": len(finalist.scores)}


def _known(**facts: Setting | None) -> Facts:
    """The facts that are known."""
    return {name: value for name, value in facts.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _seconds(time: datetime | None) -> float | None:
    """Seconds since 1970 of a time that is local, as the database has it."""
    return None if time is None else time.timestamp()
