"""A list of fixed trials, summed up: each setting's mean over its seeds beside the figure that was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.analysis.statistics import Mean, mean_interval
from optbench.storage import TrialRecord


@dataclass(frozen=True)
class Setting:
    """One label of a study of fixed trials; `difference` is measured minus published, in percentage points."""

    label: str
    accuracy: Mean
    published: float | None
    difference: float | None


def by_label(definition: Mapping[str, Any], records: Sequence[TrialRecord]) -> list[Setting]:
    """Every labelled setting with its finished trials, in the order of the definition."""
    published = {
        trial["label"]: trial.get("published_test_accuracy") for trial in definition["trial"] if "label" in trial
    }
    found = []
    for label, figure in published.items():
        values = [r.value for r in records if r.label == label and r.value is not None]
        if values:
            accuracy = mean_interval(values)
            found.append(Setting(label, accuracy, figure, None if figure is None else 100 * (accuracy.mean - figure)))
    return found
