"""Numbers and times as people read them."""

import math
from typing import Any

NOTHING = "-"


def percent(value: float | None) -> str:
    """An accuracy in percent, without the sign, for a column whose title has it."""
    return NOTHING if value is None else f"{100 * value:.2f}"


def is_accuracy(metric: str) -> bool:
    """Whether the values of a study are accuracies; those of other programs' studies may be anything."""
    return metric.endswith("accuracy")


def score(metric: str, value: float | None) -> str:
    """A trial's value with its unit: 97.89 % for an accuracy."""
    if value is None:
        return NOTHING
    return f"{percent(value)} %" if is_accuracy(metric) else f"{value:.6g}"


def as_written(value: Any) -> Any:
    """The value, or the values of a table or list, with floats as a person writes them: 0.05, not 0.050000000000000044.

    A float of at most 15 significant digits, which is what people type, stays as it is.
    """
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.15g}")
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list | tuple) else value


def hyperparameter(value: Any) -> str:
    """A hyperparameter in six digits; `-` where a trial has none."""
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 5 min, 3.2 h."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
