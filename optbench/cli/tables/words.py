"""Numbers and times in words for people."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optbench.scheduler.finals import Finalist

NOTHING = "-"


def percent(value: float | None) -> str:
    """An accuracy in percent without the percent sign, for a column whose title has the sign."""
    return NOTHING if value is None else f"{100 * value:.2f}"


def is_accuracy(metric: str) -> bool:
    """Whether a study's values are accuracies. In studies of other programs they may be anything."""
    return metric.endswith("accuracy")


def score(metric: str, value: float | None) -> str:
    """A trial's value with its unit: 97.89 % for an accuracy."""
    if value is None:
        return NOTHING
    return f"{percent(value)} %" if is_accuracy(metric) else f"{value:.6g}"


def optimism(one: "Finalist | None") -> str:
    """By how many percentage points a finalist's single run was above its mean over fresh seeds."""
    return NOTHING if one is None or one.optimism is None else f"{100 * one.optimism:+.2f}"


def hyperparameter(value: Any) -> str:
    """A hyperparameter in six digits; `-` for None."""
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 5 min, 3.2 h."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
