"""Trains one trial again from its row, to show that it gives the same numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from optbench.choices import TrainerName
from optbench.data.scaling import Scaling, scaling_of
from optbench.errors import StudyError
from optbench.optimizers import NUMERICS
from optbench.scheduler.states import Metric
from optbench.storage import StudyRecord, TrialRecord
from optbench.training.contract import Epoch, Job, Trainer
from optbench.worker.data import StudyData, load_data
from optbench.worker.loading import load_tensorflow
from optbench.worker.session import build_trainer

TOLERANCE = 0.005
"""The largest difference in accuracy on another device, with another TensorFlow, or from an earlier optbench.

Rounding differs there (the lanes of earlier versions added in another order), and the difference grows.
"""
THREADS_BEFORE = 1
"""How many threads shared an operation before trials had this number."""


class Tested(NamedTuple):
    """The test accuracy of the stored trial, and of its replay."""

    before: float
    after: float


@dataclass(frozen=True)
class Replay:
    """Both learning curves, and by how much their accuracies may differ.

    `tested` is None where the study's trials are not scored on test examples. `weights` are those of the network at the
    end, in the order of Trainer.weights; `scaling` is that of its inputs.
    """

    before: Sequence[Epoch]
    after: Sequence[Epoch]
    tested: Tested | None
    tolerance: float
    weights: list[np.ndarray[Any, np.dtype[Any]]]
    scaling: Scaling

    @property
    def same(self) -> bool:
        """Whether the accuracies agree: in every epoch, and on the test examples."""
        pairs = zip(self.before, self.after, strict=True)
        curves = all(self.difference(old, new) <= self.tolerance for old, new in pairs)
        return curves and (self.tested is None or abs(self.tested.before - self.tested.after) <= self.tolerance)

    @staticmethod
    def difference(old: Epoch, new: Epoch) -> float:
        """The larger difference of training and validation accuracy in an epoch."""
        validation = abs((old.validation_accuracy or 0.0) - (new.validation_accuracy or 0.0))
        return max(validation, abs(old.train_accuracy - new.train_accuracy))


def replay(
    study: StudyRecord,
    trial: TrialRecord,
    before: Sequence[Epoch],
    lanes: int | None,
    data_dir: Path | None,
    stop: Callable[[], object],
    allow_code: bool = False,
) -> Replay:
    """The trial's epochs trained again, next to the stored ones `before`; with its own number of lanes unless given.

    Raises StudyError where the trial cannot be replayed, DataError where its data cannot be loaded, and
    KeyboardInterrupt once `stop`, which is called before every epoch, returns a request.
    """
    if study.sweep is None or not before or trial.seed is None or trial.lanes is None or trial.trainer is None:
        raise StudyError(
            f"trial {trial.number} of {study.name!r} has no epoch that optbench trained; nothing to replay"
        )
    if trial.trainer == TrainerName.REFERENCE and lanes not in (None, 1):
        raise StudyError(f"trial {trial.number} of {study.name!r} was trained by the reference; leave --lanes out")
    sweep = replace(study.sweep, lanes=trial.lanes if lanes is None else lanes)
    load_tensorflow(trial.trainer, trial.threads or THREADS_BEFORE)
    data = load_data(sweep, trial.trainer, data_dir, allow_code)
    _check_data(study, data)
    own = data.split.resplit() if sweep.data.resplit else data.split
    trainer = build_trainer(trial.trainer, sweep, trial.optimizer, own, sweep.lanes or 1)
    trainer.assign(
        0,
        Job(
            number=trial.number,
            optimizer=trial.optimizer,
            hparams=trial.hyperparameters,
            seed=trial.seed,
            epochs=sweep.epochs,
            numerics=trial.numerics,
        ),
    )
    after = _train(trainer, len(before), stop)
    tested, tolerance = (
        _tested(study, trial, trainer, data),
        0.0 if repeats_exactly(study, trial, trainer) else TOLERANCE,
    )
    return Replay(
        before=before,
        after=after,
        tested=tested,
        tolerance=tolerance,
        weights=trainer.weights(0),
        scaling=scaling_of(own, trial.seed),
    )


def repeats_exactly(study: StudyRecord, trial: TrialRecord, trainer: Trainer) -> bool:
    """Whether the trial was trained by the same arithmetic on the same kind of processor, so that every bit repeats.

    On a GPU they may not: XLA tries several kernels in every process, and chooses others for groups of other widths.
    """
    same = trial.numerics == NUMERICS or trial.trainer == TrainerName.REFERENCE
    same = same and (trial.threads or THREADS_BEFORE) == (trainer.threads or THREADS_BEFORE)
    here = trainer.device == trial.device and not trainer.device.startswith("GPU")
    return same and here and study.versions.get("tensorflow") == version("tensorflow")


def _train(trainer: Trainer, epochs: int, stop: Callable[[], object]) -> list[Epoch]:
    """The next epochs of the trial in lane 0."""
    trained: list[Epoch] = []
    while len(trained) < epochs:
        if stop():
            raise KeyboardInterrupt
        trained.append(trainer.train()[0])
    return trained


def _check_data(study: StudyRecord, data: StudyData) -> None:
    for key, digest in data.split.digests.items():
        if study.fingerprint.get(key) != digest:
            raise StudyError(
                f"{key} is {study.fingerprint.get(key)} in study {study.name!r}, {digest} here: the data differs"
            )


def _tested(study: StudyRecord, trial: TrialRecord, trainer: Trainer, data: StudyData) -> Tested | None:
    if study.metric != Metric.TEST_ACCURACY or trial.value is None or data.test_set is None:
        return None
    return Tested(trial.value, trainer.test(0, data.test_set))
