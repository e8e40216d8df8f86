"""Compares two settings: on the seeds that they share, and as independent runs.

Every function is pure and takes accuracies as fractions from 0 to 1. docs/statistics.md has a section for each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from optbench.statistics.seeds import SINGLE, Array, finite, mean_interval

EXACT, FLIPS, RESAMPLES = 16, 100_000, 2000


@dataclass(frozen=True)
class Paired:
    """The mean of a - b over n shared seeds, with its 95 % interval from `low` to `high`.

    `deviation` is the standard deviation of the differences. Both p-values are two-sided, for "no difference".
    """

    n: int
    mean: float
    low: float
    high: float
    deviation: float
    sign_flip_p: float
    wilcoxon_p: float


def paired(a: ArrayLike, b: ArrayLike) -> Paired:
    """How a [n] differs from b [n], where a[i] and b[i] come from the same seed.

    The interval is the t-interval of the differences. The p-values are those of the sign-flip test, which cannot fall
    below pvalues.min_p(n), and of the signed-rank test, which is 1 if all differences are zero.
    Raises ValueError for fewer than two pairs, or unequal lengths.
    Fisher 1935, Wilcoxon 1945; docs/statistics.md.
    """
    differences = _differences(a, b)
    mean = mean_interval(differences.tolist())
    ranked = np.round(differences, 6)  # equal differences of decimal fractions must tie
    return Paired(
        n=mean.n,
        mean=mean.mean,
        low=mean.mean - mean.margin,
        high=mean.mean + mean.margin,
        deviation=mean.deviation,
        sign_flip_p=_sign_flip_p(differences),
        wilcoxon_p=float(stats.wilcoxon(ranked).pvalue) if ranked.any() else 1.0,
    )


def _differences(a: ArrayLike, b: ArrayLike) -> Array:
    one, two = finite(a, 2), finite(b, 2)
    if one.size != two.size:
        raise ValueError(f"{one.size} and {two.size} values; expected pairs that share their seeds")
    return one - two


def _sign_flip_p(differences: Array) -> float:
    """The fraction of all 2^n sign patterns whose mean is at least as far from 0 as the observed one.

    Above n = 16 it is the fraction of 100,000 random patterns and the observed one. scipy's permutation_test is not
    used because it takes sums that differ only by rounding for different ones, and accuracies tie often.
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
    """The probability that a run of a beats a run of b, with its 95 % interval.

    Bouthillier et al. (2021) call a value above .75 meaningful.
    """

    fraction: float
    low: float
    high: float


def improvement(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Improvement:
    """The probability that a run of a [n] beats a run of b [m]; the two are not paired and may differ in length.

    It is the fraction of all pairs with a_i > b_j, where a tie counts half (the Mann-Whitney U divided by n m). The
    interval is a percentile bootstrap that draws both samples separately, 2,000 times, from `seed`.
    Raises ValueError for fewer than two values on a side.
    Agarwal et al. 2021; docs/statistics.md.
    """
    samples = finite(a, 2), finite(b, 2)
    found = stats.bootstrap(
        samples, _wins, n_resamples=RESAMPLES, batch=100, vectorized=True, method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Improvement(fraction=float(_wins(*samples)), low=float(found.low), high=float(found.high))


def _wins(a: Array, b: Array, axis: int = -1) -> Array:
    """The fraction of pairs along the last axis in which a is above b: [..., n] and [..., m] give [...]."""
    return np.asarray(0.5 + 0.5 * np.sign(a[..., :, None] - b[..., None, :]).mean((-2, -1)))


@dataclass(frozen=True)
class Equivalence:
    """The 90 % interval of the mean difference, and whether it lies inside the margin.

    `p` is the p-value for "the mean difference is outside the margin".
    """

    low: float
    high: float
    equal: bool
    p: float


def equivalence(a: ArrayLike, b: ArrayLike, margin: float = 0.001) -> Equivalence:
    """Whether a and b, paired by seed, are equal to within ±margin (a fraction: .001 is 0.1 percentage points).

    Two one-sided t-tests (TOST) at 5 %, of which p is the larger. Where all differences are the same there is no spread
    to test against: p is 1, and equality is not shown.
    Raises ValueError for fewer than two pairs, unequal lengths, or a margin that is not above 0.
    Schuirmann 1987; docs/statistics.md.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin}; expected one above 0")
    differences = _differences(a, b)
    mean = mean_interval(differences.tolist(), 0.90)
    low, high = mean.mean - mean.margin, mean.mean + mean.margin
    if np.ptp(differences) < SINGLE:
        return Equivalence(low=low, high=high, equal=False, p=1.0)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    return Equivalence(low=low, high=high, equal=-margin < low and high < margin, p=float(max(above, below)))
