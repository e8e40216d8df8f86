"""What the trials of one study say about its search: the best so far, speed, the space, divergence, pruning.

Every function is pure. Accuracies are fractions from 0 to 1, and higher is better. docs/statistics.md has a section for
each function. The curves over budgets are in `budget`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from optbench.statistics.seeds import SINGLE, Array, finite

EDGE, TENTH, TOP, CROWD = 0.05, 0.1, 10, 4
DIVERGED = 0.30

End = Literal["low", "high"]


def incumbent(values: ArrayLike) -> Array:
    """The best value so far after each trial [n], in the order in which they ended.

    NaN (a trial without a value) never counts; the result is NaN until the first value.
    Raises ValueError for no values.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"values of shape {found.shape}; expected a list of at least one")
    return np.asarray(np.fmax.accumulate(found))


def time_to_target(curve: Sequence[float | None], targets: Sequence[float]) -> tuple[int | None, ...]:
    """The first epoch, counted from 1, whose validation accuracy reaches each target; None where none does.

    An epoch without a validation accuracy is None or NaN.
    Raises ValueError for an empty curve.
    """
    found = np.array(curve, dtype=np.float64)
    if found.size == 0:
        raise ValueError("a curve of no epochs; expected at least one")
    reached = [found >= target - SINGLE for target in targets]
    return tuple(int(np.argmax(epochs)) + 1 if epochs.any() else None for epochs in reached)


@dataclass(frozen=True)
class Boundary:
    """Where the best trial lies on a scale from 0 to 1, and in which outer tenth of it many of the ten best lie."""

    position: float
    crowded_low: bool
    crowded_high: bool

    @property
    def ends(self) -> tuple[End, ...]:
        """The ends at which the space is probably too narrow: none, one, or both."""
        low = self.position < EDGE or self.crowded_low
        high = self.position > 1 - EDGE or self.crowded_high
        found: list[tuple[End, bool]] = [("low", low), ("high", high)]
        return tuple(end for end, crossed in found if crossed)


def boundary(units: ArrayLike) -> Boundary:
    """Whether a range cuts off its best trials; `units` [n] are the trials' places on its scale, best trial first.

    It does if the best trial is below .05 or above .95, or if at least 4 of the ten best are in one outer tenth.
    Raises ValueError for no places, or one outside 0 to 1.
    """
    found = finite(units)
    if found.min() < -SINGLE or found.max() > 1 + SINGLE:
        raise ValueError(f"places from {found.min()} to {found.max()}; expected 0 to 1")
    top, best = found[:TOP], float(found[0])
    crowded_low = int(np.count_nonzero(top <= TENTH)) >= CROWD
    crowded_high = int(np.count_nonzero(top >= 1 - TENTH)) >= CROWD
    return Boundary(best, crowded_low, crowded_high)


def wider(low: float, high: float, log: bool, end: End) -> tuple[float, float]:
    """The range extended by half its length at one end, on its linear or logarithmic scale.

    The end moves by (high - low) / 2, or by a factor of sqrt(high / low). The caller limits the result to the bounds of
    the hyperparameter.
    Raises ValueError for an empty range, a logarithmic range that does not start above 0, or another end.
    """
    if not low < high or (log and low <= 0):
        raise ValueError(f"a range from {low} to {high}; expected low < high{', above 0' if log else ''}")
    if end not in ("low", "high"):
        raise ValueError(f"end = {end!r}; expected 'low' or 'high'")
    if log:
        factor = (high / low) ** 0.5
        return (low / factor, high) if end == "low" else (low, high * factor)
    half = (high - low) / 2
    return (low - half, high) if end == "low" else (low, high + half)


def fraction_interval(count: int, total: int, method: Literal["wilson", "exact"] = "wilson") -> tuple[float, float]:
    """The 95 % interval of the fraction count / total, by Wilson's method or the exact one.

    Raises ValueError unless 0 <= count <= total and total >= 1.
    Wilson 1927, Clopper and Pearson 1934; docs/statistics.md.
    """
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"{count} of {total}; expected 0 to all of at least one")
    from scipy import stats  # takes a second to import, and not every study needs it

    found = stats.binomtest(count, total).proportion_ci(0.95, method)
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Fraction:
    """A fraction with its 95 % interval."""

    fraction: float
    low: float
    high: float

    @property
    def too_many(self) -> bool:
        """Whether it is above 30 %, so that a smaller space should be searched."""
        return self.fraction > DIVERGED


def diverged_fraction(diverged: int, total: int) -> Fraction:
    """The fraction of trials that diverged, with its Wilson interval.

    Raises ValueError unless 0 <= diverged <= total and total >= 1.
    """
    low, high = fraction_interval(diverged, total)
    return Fraction(fraction=diverged / total, low=low, high=high)


def growth(rates: Sequence[float | None]) -> float:
    """By what factor an effective learning rate grew (above 1) or shrank over training: its last value / its first.

    `rates` has a value per epoch, None or NaN where it was not measured. The result is NaN if fewer than two are
    finite, or the first is 0.
    """
    found = np.array(rates, dtype=np.float64)
    found = found[np.isfinite(found)]
    if found.size < 2 or found[0] == 0:
        return float("nan")
    return float(found[-1] / found[0])


@dataclass(frozen=True)
class Audit:
    """What pruning cost.

    `beaten` is the fraction of the n audited trials that ended above the incumbent, with a 95 % interval from `low` to
    `high`. `regret` is the largest gain over the incumbent, in percentage points: 0 if no trial beat it.
    """

    n: int
    beaten: float
    low: float
    high: float
    regret: float


def audit(values_if_finished: ArrayLike, incumbents: ArrayLike) -> Audit:
    """What a pruner cost, measured on trials that it would have pruned but that ran to their end.

    `values_if_finished` [n] are their final accuracies, NaN for a trial that diverged; `incumbents` [n] are the best
    accuracies that were finished when each of them ended. The interval is exact (Clopper and Pearson 1934).
    Raises ValueError for no trials, unequal lengths, or an incumbent that is not finite.
    """
    ended, best = np.asarray(values_if_finished, dtype=np.float64), finite(incumbents)
    if ended.shape != best.shape:
        raise ValueError(f"{ended.size} trials and {best.size} incumbents; expected one incumbent for each trial")
    gains = np.nan_to_num(ended - best, nan=0.0)
    count = int(np.count_nonzero(gains > SINGLE))
    regret = 100 * float(gains.max()) if count else 0.0
    low, high = fraction_interval(count, best.size, "exact")
    return Audit(n=best.size, beaten=count / best.size, low=low, high=high, regret=regret)
