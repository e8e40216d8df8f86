"""Summarizes a list of fixed trials: each setting's mean over its seeds, and the accuracy that was published for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.definition.sweep import Sweep
from optbench.statistics.seeds import Mean, mean_interval
from optbench.storage import TrialRecord


@dataclass(frozen=True)
class Setting:
    """A setting in a list of fixed trials, known by its label.

    `published` is an accuracy as a fraction; `difference` is measured minus published, in percentage points.
    """

    label: str
    accuracy: Mean
    published: float | None
    difference: float | None


def by_label(sweep: Sweep | None, records: Sequence[TrialRecord]) -> list[Setting]:
    """Every labelled setting that has a finished trial, in the order of the definition. Empty without a sweep."""
    fixed = () if sweep is None else sweep.fixed
    published = {trial.label: trial.published_test_accuracy for trial in fixed if trial.label is not None}
    found = []
    for label, figure in published.items():
        values = [r.value for r in records if r.label == label and r.value is not None]
        if values:
            accuracy = mean_interval(values)
            difference = None if figure is None else 100 * (accuracy.mean - figure)
            found.append(Setting(label=label, accuracy=accuracy, published=figure, difference=difference))
    return found
