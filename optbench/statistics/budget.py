"""What the trials of a random search say about budgets: the best of k trials, tunability, which of two searches wins.

Every function is pure and takes the final accuracies (fractions from 0 to 1, in any order) of trials that were drawn
independently from one space and ran to their end. Such trials come from a random or quasi-random search without a
pruner, never from TPE, and are neither pruned nor fixed. A diverged trial counts with the accuracy of guessing.
docs/statistics.md has a section for each function.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats takes a second longer to import

from optbench.statistics.search import fraction_interval
from optbench.statistics.seeds import SINGLE, Array, finite

MAX_SAMPLES, MIN_SAMPLES = 10_000, 1_000
"""How many samples simulate a band; a 95 % band then covers 94.5 to 95.5 %."""
DRAWN = 2_000_000
"""How many random numbers are drawn for a band in all, unless that makes fewer than MIN_SAMPLES samples."""


def best_of_k(values: ArrayLike, k: ArrayLike) -> Array:
    """The expected best of k trials drawn with replacement from `values` [n], for each k: [len(k)]. Biased downwards.

    sum_i x_(i) [(i/n)^k - ((i-1)/n)^k].
    Raises ValueError for no values, or a k below 1.
    Dodge et al. 2019; docs/statistics.md.
    """
    ordered = np.sort(finite(values))
    return _weights(ordered.size, _budgets(k)) @ ordered


def best_of_k_unbiased(values: ArrayLike, k: ArrayLike) -> Array:
    """The expected best of k of the trials `values` [n], drawn without replacement, for each k <= n: [len(k)].

    sum_i x_(i) C(i-1, k-1) / C(n, k).
    Raises ValueError for no values, or a k below 1 or above n.
    Tang et al. 2020; docs/statistics.md.
    """
    ordered = np.sort(finite(values))
    n = ordered.size
    budgets = _budgets(k, n)
    # from the top: the largest of n weighs k/n, and going from rank i to i-1 multiplies by (i-k)/(i-1)
    ranks = np.arange(n, 1, -1)
    steps = np.maximum(ranks - budgets[:, None], 0) / (ranks - 1)
    falling = np.cumprod(np.concatenate([budgets[:, None] / n, steps], axis=1), axis=1)
    return np.asarray(falling @ ordered[::-1])


def median_of_k(values: ArrayLike, k: ArrayLike) -> Array:
    """The median of the best of k trials, for each k: [len(k)], each one of `values` [n].

    It is x_(ceil(n * 0.5^(1/k))), the 0.5^(1/k) quantile of the trials.
    Raises ValueError for no values, or a k below 1.
    Lourie et al. 2023; docs/statistics.md.
    """
    ordered = np.sort(finite(values))
    return _quantile(ordered, 0.5 ** (1 / _budgets(k)))


def band_of_k(values: ArrayLike, k: ArrayLike, confidence: float = 0.95) -> tuple[Array, Array]:
    """The band (low, high) in which the true curve of median_of_k lies at all k at once: two arrays [len(k)].

    They are quantiles under the bounds of distribution_band. NaN where there are too few trials for a bound.
    Raises ValueError for no values, a k below 1, or a confidence outside (0, 1).
    Lourie et al. 2023; docs/statistics.md.
    """
    ordered = np.sort(finite(values))
    low, high = distribution_band(ordered.size, confidence)
    q = 0.5 ** (1 / _budgets(k))
    ends = np.concatenate([[np.nan], ordered, [np.nan]])
    return ends[np.searchsorted(high, q, side="right")], ends[np.searchsorted(low, q, side="left") + 1]


def largest_k(n: int, confidence: float = 0.95) -> int:
    """The largest k for which the band of n trials is bounded on both sides; 0 if there is none.

    At that k, 0.5^(1/k) is at most the lower bound at the best trial: about n / 9 at 95 %.
    Raises ValueError for n below 1, or a confidence outside (0, 1).
    """
    if n < 1:
        raise ValueError(f"{n} trials; expected at least one")
    bound = float(distribution_band(n, confidence)[0][-1])
    return math.floor(math.log(0.5) / math.log(bound)) if bound >= 0.5 else 0


def distribution_band(n: int, confidence: float) -> tuple[Array, Array]:
    """Bounds (low, high) [n] that a continuous distribution function keeps to at all of n ordered draws at once.

    At the i-th lowest draw the function is distributed as Beta(i, n + 1 - i), whatever the distribution is. Each bound
    cuts off the same tail, which is chosen by simulation so that all bounds hold together.
    Raises ValueError for a confidence outside (0, 1).
    Aldor-Noiman et al. 2013, Lourie et al. 2023; docs/statistics.md.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}; expected one between 0 and 1")
    tail = np.quantile(_smallest_tails(n), 1 - confidence)
    ranks = np.arange(1, n + 1)
    shape = ranks, n + 1 - ranks
    return special.betaincinv(*shape, tail), special.betainccinv(*shape, tail)


@dataclass(frozen=True)
class Tunability:
    """The fraction of trials close to the best, its 95 % interval, and how many trials find one with 95 % chance."""

    fraction: float
    low: float
    high: float
    trials: int


def tunability(values: ArrayLike, delta: float) -> Tunability:
    """How easily a random search comes within `delta` (a fraction) of the best of `values` [n].

    The fraction has a Wilson interval. The trials are ceil(ln .05 / ln(1 - fraction)), or 1 if all are that close.
    Raises ValueError for no values, or a negative delta.
    Bergstra and Bengio 2012; docs/statistics.md.
    """
    if not delta >= 0:
        raise ValueError(f"delta = {delta}; expected at least 0")
    found = finite(values)
    n, near = found.size, int(np.count_nonzero(found >= found.max() - delta - SINGLE))
    trials = math.ceil(math.log(0.05) / math.log((n - near) / n)) if near < n else 1
    low, high = fraction_interval(near, n)
    return Tunability(fraction=near / n, low=low, high=high, trials=trials)


def win_probability(a: ArrayLike, b: ArrayLike, k: int) -> float:
    """The probability that the best of k trials of a [n] beats the best of k trials of b [m]; a tie counts half.

    sum_ij w(i) w(j) [1(a_(i) > b_(j)) + 1/2 1(a_(i) = b_(j))] with the weights w of best_of_k.
    Raises ValueError for no values on a side, or a k below 1.
    """
    one, two = np.sort(finite(a)), np.sort(finite(b))
    budget = _budgets(k)
    signs = np.sign(one[:, None] - two)
    return float(0.5 + 0.5 * (_weights(one.size, budget)[0] @ signs @ _weights(two.size, budget)[0]))


def _weights(n: int, k: NDArray[np.int64]) -> Array:
    """The probability that the i-th lowest of n is the best of k draws with replacement: [len(k), n], rows sum to 1."""
    return np.diff((np.arange(n + 1) / n) ** k[:, None], axis=1)


def _quantile(ordered: Array, q: Array) -> Array:
    """The lowest value with at least a fraction q of the values [n] at or below it, for each q; NaN outside (0, 1]."""
    n = ordered.size
    ranks = np.clip(np.ceil(n * q).astype(int), 1, n)
    return np.where((q > 0) & (q <= 1), ordered[ranks - 1], np.nan)


@lru_cache
def _smallest_tails(n: int) -> Array:
    """The smallest tail that any of n ordered uniform draws cuts off its Beta distribution, for each sample."""
    ranks = np.arange(1, n + 1)
    samples = min(MAX_SAMPLES, max(MIN_SAMPLES, DRAWN // n))
    draws = np.sort(np.random.default_rng(0).random((samples, n)), axis=1)
    below = special.betainc(ranks, n + 1 - ranks, draws)
    return np.asarray(np.minimum(below, 1 - below).min(axis=1))


def _budgets(k: ArrayLike, maximum: int | None = None) -> NDArray[np.int64]:
    """k as whole numbers [len(k)], checked."""
    found = np.atleast_1d(np.asarray(k))
    if not np.issubdtype(found.dtype, np.integer) or found.ndim != 1 or found.size == 0 or found.min() < 1:
        raise ValueError(f"k = {k!r}; expected whole numbers from 1")
    if maximum is not None and found.max() > maximum:
        raise ValueError(f"k = {found.max()}; expected at most {maximum}, the number of trials")
    return found.astype(np.int64)
