"""Statistics over seeds, as pure functions on accuracies (fractions 0..1): means, and two settings beside each other.

What only a whole search can tell is in search.py and budget.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]

SINGLE = 1e-7  # single precision rounds an accuracy by less, and one image of 60,000 is 1.7e-5: closer values are equal
EXACT, FLIPS, RESAMPLES = 16, 100_000, 2000


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


def finite(values: ArrayLike, least: int = 1) -> Array:
    """The values as an array [n]; a ValueError if there are fewer than `least`, or one is NaN or infinite."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size < least:
        raise ValueError(f"values of shape {found.shape}; expected a list of at least {least}")
    if not np.isfinite(found).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(found))} values are NaN or infinite; expected finite ones")
    return found


@dataclass(frozen=True)
class Confirmation:
    """One setting over n seeds. `low` and `high` end the 95 % interval of the mean; `iqm` is the interquartile mean."""

    n: int
    mean: float
    low: float
    high: float
    deviation: float
    median: float
    iqm: float
    least: float
    most: float


def confirmation(values: ArrayLike) -> Confirmation:
    """What the seeds of one setting say together; low, high and deviation are NaN for a single seed.

    Raises ValueError for no values, or values that are not finite.
    S7: mean +- t(n-1, .975) s / sqrt(n); the interquartile mean is the mean without the lowest and the highest
    floor(n / 4) values (Agarwal 2021).
    """
    found = finite(values)
    mean = mean_interval(found.tolist())
    median, iqm = float(np.median(found)), float(stats.trim_mean(found, 0.25))
    low, high = mean.mean - mean.margin, mean.mean + mean.margin
    return Confirmation(
        mean.n, mean.mean, low, high, mean.deviation, median, iqm, float(found.min()), float(found.max())
    )


@dataclass(frozen=True)
class Paired:
    """The mean of a - b over n shared seeds, its 95 % interval, and two two-sided p-values of "no difference"."""

    n: int
    mean: float
    low: float
    high: float
    sign_flip_p: float
    wilcoxon_p: float


def paired(a: ArrayLike, b: ArrayLike) -> Paired:
    """How a differs from b, where a[i] and b[i] [n] come from the same seed; p cannot fall below pvalues.least_p(n).

    Raises ValueError for fewer than two pairs, or unequal lengths.
    S8: t-interval of the differences; sign flips (Fisher 1935); signed ranks (Wilcoxon 1945, p = 1 if all are zero).
    """
    differences = _differences(a, b)
    mean = mean_interval(differences.tolist())
    ranked = np.round(differences, 6)  # equal differences of decimal fractions must tie
    wilcoxon_p = float(stats.wilcoxon(ranked).pvalue) if ranked.any() else 1.0
    low, high = mean.mean - mean.margin, mean.mean + mean.margin
    return Paired(mean.n, mean.mean, low, high, _sign_flip_p(differences), wilcoxon_p)


def _differences(a: ArrayLike, b: ArrayLike) -> Array:
    one, two = finite(a, 2), finite(b, 2)
    if one.size != two.size:
        raise ValueError(f"{one.size} and {two.size} values; expected pairs that share their seeds")
    return one - two


def _sign_flip_p(differences: Array) -> float:
    """The share of all 2^n signs that give a mean as far from 0; above n = 16, of 100,000 random ones and the given.

    Not scipy's permutation_test: it tells sums apart that differ by rounding only, and accuracies tie often.
    """
    n = differences.size
    if n <= EXACT:
        negative = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        negative = np.random.default_rng(0).integers(0, 2, (FLIPS, n))
    means = np.abs((1.0 - 2.0 * negative) @ differences) / n
    extreme = int(np.count_nonzero(means >= abs(differences.mean()) - SINGLE))
    return extreme / 2**n if n <= EXACT else (extreme + 1) / (FLIPS + 1)


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of a beats a run of b, with its 95 % interval; above .75 it is called meaningful."""

    share: float
    low: float
    high: float


def improvement(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Improvement:
    """How often a beats b, the two not paired: a [n] and b [m] may differ in length.

    Raises ValueError for fewer than two values on a side.
    S9: the share of all pairs with a_i > b_j, ties half (Agarwal 2021; the Mann-Whitney U over nm); percentile
    bootstrap, both samples drawn apart, 2000 times from `seed`.
    """
    samples = finite(a, 2), finite(b, 2)
    found = stats.bootstrap(
        samples, _wins, n_resamples=RESAMPLES, batch=100, vectorized=True, method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Improvement(float(_wins(*samples)), float(found.low), float(found.high))


def _wins(a: Array, b: Array, axis: int = -1) -> Array:
    """The share of pairs along the last axis in which a is above b: [..., n] and [..., m] give [...]."""
    return np.asarray(0.5 + 0.5 * np.sign(a[..., :, None] - b[..., None, :]).mean((-2, -1)))


@dataclass(frozen=True)
class Equivalence:
    """The 90 % interval of the mean difference, whether it lies inside the margin, and the p of "it does not"."""

    low: float
    high: float
    equal: bool
    p: float


def equivalence(a: ArrayLike, b: ArrayLike, margin: float = 0.001) -> Equivalence:
    """Whether a and b, paired by seed, are equal to within +-margin (a fraction: .001 is 0.10 points).

    Raises ValueError for fewer than two pairs, unequal lengths, or a margin that is not above 0.
    S10: two one-sided t-tests at 5 % (Schuirmann 1987), of which p is the larger; without spread the mean decides.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin}; expected one above 0")
    differences = _differences(a, b)
    mean = mean_interval(differences.tolist(), 0.90)
    low, high = mean.mean - mean.margin, mean.mean + mean.margin
    if np.ptp(differences) < SINGLE:
        equal = abs(mean.mean) < margin - SINGLE
        return Equivalence(low, high, equal, 0.0 if equal else 1.0)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return Equivalence(low, high, -margin < low and high < margin, float(max(above, below)))
