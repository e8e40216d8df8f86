"""Trains one trial again from its row, to show that it gives the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optbench.definition import parse
from optbench.errors import StudyError
from optbench.storage import StudyRecord, TrialRecord
from optbench.training.contract import Epoch, Job

TOLERANCE = 0.005  # in accuracy, on another device or TensorFlow: rounding differs, and grows with the steps


@dataclass(frozen=True)
class Replay:
    """Both curves, and by how much their accuracies may differ."""

    before: list[Epoch]
    after: list[Epoch]
    tested: tuple[float, float] | None  # the test accuracy before and after, where the study has one
    tolerance: float
    weights: list[Any]  # of the network at the end: kernel and bias of each layer in turn, float32

    @property
    def same(self) -> bool:
        """Whether every epoch's accuracies agree, and the test accuracy."""
        pairs = zip(self.before, self.after, strict=True)
        curves = all(self.difference(old, new) <= self.tolerance for old, new in pairs)
        return curves and (self.tested is None or abs(self.tested[0] - self.tested[1]) <= self.tolerance)

    @staticmethod
    def difference(old: Epoch, new: Epoch) -> float:
        """The larger difference of training and validation accuracy in an epoch."""
        held = abs((old.validation_accuracy or 0.0) - (new.validation_accuracy or 0.0))
        return max(held, abs(old.train_accuracy - new.train_accuracy))


def replay(
    study: StudyRecord,
    trial: TrialRecord,
    before: list[Epoch],
    lanes: int | None,
    data_dir: Path | None,
    stop: Callable[[], object],
) -> Replay:
    """Trains the trial's epochs again, with its own number of lanes unless given.

    Raises StudyError, and KeyboardInterrupt once `stop` says something, which is asked before every epoch.
    """
    from optbench.data import load, load_test
    from optbench.training.tensorflow.build import build

    if study.definition is None or not before or trial.seed is None or trial.lanes is None or trial.trainer is None:
        raise StudyError(f"trial {trial.number} of {study.name!r} trained no epoch by optbench; nothing to replay")
    if trial.trainer == "reference" and lanes not in (None, 1):
        raise StudyError(f"trial {trial.number} of {study.name!r} was trained by the reference; leave --lanes out")
    sweep = parse({**study.definition, "lanes": trial.lanes if lanes is None else lanes}, f"study {study.name!r}")
    split = load(sweep.data.name, sweep.data.validation, sweep.seed, data_dir)
    for key, digest in split.digests.items():
        if study.fingerprint.get(key) != digest:
            raise StudyError(f"{key} is {study.fingerprint.get(key)} in the study, {digest} here: not the same data")
    trainer = build(trial.trainer, sweep, trial.optimizer, split, sweep.lanes or 1)
    trainer.assign(0, Job(trial.number, trial.optimizer, trial.hyperparameters, trial.seed, trial.epochs))
    after: list[Epoch] = []
    while len(after) < len(before):
        if stop():
            raise KeyboardInterrupt
        after.append(trainer.train()[0])
    tested = None
    if study.metric == "test accuracy" and trial.value is not None:
        tested = trial.value, trainer.test(0, load_test(sweep.data.name, data_dir))
    alike = trainer.device == trial.device and study.versions.get("tensorflow") == version("tensorflow")
    tolerance = 0.0 if alike else TOLERANCE
    return Replay(before, after, tested, tolerance, trainer.weights(0))
