"""Finds the test accuracies of well-known settings: Keras' defaults, and those of an optimizer's paper."""

from collections.abc import Callable, Sequence

from optbench.comparison.arms import Arm, Comparison, Source
from optbench.comparison.comparable import family
from optbench.storage import TrialRecord


def measured(comparison: Comparison, arm: Arm, wanted: Callable[[TrialRecord], bool]) -> dict[int, float]:
    """The test accuracies by seed of the setting that `wanted` accepts; empty if it was never trained.

    Every study on the test set that has the arm's data, model, batch size and epochs counts: lists of fixed trials, and
    confirmations of any search. A seed counts once, however often it was trained.
    """
    epochs = arm.confirmed[0].epochs if arm.confirmed else arm.epochs
    alike = [s for s in comparison.tested if s.sweep.epochs == epochs and family(s.study) == family(arm.source.study)]
    return _scores(alike, lambda trial: trial.optimizer == arm.optimizer and wanted(trial))


def _scores(sources: Sequence[Source], wanted: Callable[[TrialRecord], bool]) -> dict[int, float]:
    found: dict[int, float] = {}
    for source in sources:
        for trial in source.trials:
            if trial.value is not None and trial.seed is not None and trial.hyperparameters and wanted(trial):
                found.setdefault(trial.seed, trial.value)
    return found
