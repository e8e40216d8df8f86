"""Statistics of one setting over seeds: its mean with an interval, its spread, and the error of a finite test set.

Every function is pure and takes accuracies as fractions from 0 to 1. docs/statistics.md has a section for each, with
its formula and its paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats takes a second longer to import

Array = NDArray[np.float64]

SINGLE = 1e-7
"""Accuracies that differ by less count as equal: rounding to single precision is smaller, and one image of 60,000 is
1.7e-5.
"""


@dataclass(frozen=True)
class Mean:
    """A mean over n seeds with its standard deviation and the half-width of its confidence interval.

    `deviation` and `margin` are NaN for fewer than two values, because one seed says nothing about spread.
    """

    n: int
    mean: float
    deviation: float
    margin: float


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """The mean of independent values and its two-sided t-interval, mean ± t(n-1) s / sqrt(n) (Student 1908).

    Raises ValueError for no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values; expected at least one")
    mean = float(np.mean(values))
    if n == 1:
        return Mean(n=n, mean=mean, deviation=float("nan"), margin=float("nan"))
    deviation = float(np.std(values, ddof=1))
    margin = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * deviation / n**0.5
    return Mean(n=n, mean=mean, deviation=deviation, margin=margin)


def finite(values: ArrayLike, minimum: int = 1) -> Array:
    """The values as an array [n].

    Raises ValueError if there are fewer than `minimum` of them, or if one is NaN or infinite.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size < minimum:
        raise ValueError(f"values of shape {found.shape}; expected a list of at least {minimum}")
    if not np.isfinite(found).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(found))} values are NaN or infinite; expected finite ones")
    return found


@dataclass(frozen=True)
class Confirmation:
    """One setting over n seeds: its mean with a 95 % interval (`low` to `high`), and its interquartile mean `iqm`."""

    n: int
    mean: float
    low: float
    high: float
    deviation: float
    median: float
    iqm: float
    min: float
    max: float


def confirmation(values: ArrayLike) -> Confirmation:
    """The summary of one setting over its seeds; low, high and deviation are NaN for a single seed.

    The mean has a t-interval (see mean_interval). The interquartile mean leaves out the lowest and the highest
    floor(n / 4) values.
    Raises ValueError for no values, or values that are not finite.
    Agarwal et al. 2021; docs/statistics.md.
    """
    found = finite(values)
    mean = mean_interval(found.tolist())
    return Confirmation(
        n=mean.n,
        mean=mean.mean,
        low=mean.mean - mean.margin,
        high=mean.mean + mean.margin,
        deviation=mean.deviation,
        median=float(np.median(found)),
        iqm=float(np.sort(found)[found.size // 4 : found.size - found.size // 4].mean()),
        min=float(found.min()),
        max=float(found.max()),
    )


def sampling_interval(accuracy: float, examples: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy that was measured on so many test examples, as fractions.

    Raises ValueError for an accuracy outside 0 to 1, or no examples.
    Wilson (1927), which holds at 0 and 100 % too; docs/statistics.md.
    """
    if not 0 <= accuracy <= 1 or examples < 1:
        raise ValueError(f"an accuracy of {accuracy} on {examples} examples; expected 0 to 1 on at least one")
    z = float(special.ndtri(0.975))
    center = accuracy + z**2 / (2 * examples)
    half = z * math.sqrt(accuracy * (1 - accuracy) / examples + (z / (2 * examples)) ** 2)
    low, high = ((center + side * half) / (1 + z**2 / examples) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)
