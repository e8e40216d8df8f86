"""Statistics of trials, as pure functions on numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Mean:
    """A mean over n seeds with its standard deviation and the half-width of its confidence interval.

    `deviation` and `margin` are NaN for fewer than two values: one seed says nothing about spread.
    """

    n: int
    mean: float
    deviation: float
    margin: float


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """The mean of independent values and its two-sided t-interval: mean +- t(n-1) s / sqrt(n) (Student 1908)."""
    n = len(values)
    if n == 0:
        raise ValueError("no values; expected at least one")
    mean = float(np.mean(values))
    if n == 1:
        return Mean(n, mean, float("nan"), float("nan"))
    deviation = float(np.std(values, ddof=1))
    margin = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * deviation / n**0.5
    return Mean(n, mean, deviation, margin)
