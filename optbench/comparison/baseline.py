"""A list of fixed trials, summed up: each setting's mean over its seeds beside the figure that was published."""

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.definition.sweep import Sweep
from optbench.statistics.seeds import Mean, mean_interval
from optbench.storage import TrialRecord


@dataclass(frozen=True)
class Setting:
    """One label of a study of fixed trials; `difference` is measured minus published, in percentage points."""

    label: str
    accuracy: Mean
    published: float | None
    difference: float | None


def by_label(sweep: Sweep | None, records: Sequence[TrialRecord]) -> list[Setting]:
    """Every labelled setting that has a finished trial, in the order of the definition; none without a definition."""
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
