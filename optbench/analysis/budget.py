"""What a random search's trials say about other budgets: the best of k trials, tunability, who wins at equal budget.

Every function here takes the final accuracies, fractions 0..1 in any order, of trials drawn independently from one
space: phase P1 only, never TPE's, pruned or enqueued ones. A diverged trial counts too, with the accuracy of guessing.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optbench.analysis.search import share_interval
from optbench.analysis.statistics import SINGLE, Array, finite


def best_of_k(values: ArrayLike, k: ArrayLike) -> Array:
    """The expected best of k trials drawn with replacement from `values` [n], for each k: [len(k)]. Biased downwards.

    Raises ValueError for no values, or a k below 1.
    S3, V: sum_i x_(i) [(i/n)^k - ((i-1)/n)^k] (Dodge 2019).
    """
    ordered = np.sort(finite(values))
    return _weights(ordered.size, _budgets(k)) @ ordered


def best_of_k_unbiased(values: ArrayLike, k: ArrayLike) -> Array:
    """The expected best of k of the trials `values` [n], drawn without replacement, for each k <= n: [len(k)].

    Raises ValueError for no values, or a k below 1 or above n.
    S3, U: sum_i x_(i) C(i-1, k-1) / C(n, k) (Tang 2020).
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

    Raises ValueError for no values, or a k below 1.
    S3: x_(ceil(n * 0.5^(1/k))), the 0.5^(1/k) quantile of the trials (Lourie 2023).
    """
    ordered = np.sort(finite(values))
    return _quantile(ordered, 0.5 ** (1 / _budgets(k)))


def band_of_k(values: ArrayLike, k: ArrayLike, confidence: float = 0.95) -> tuple[Array, Array]:
    """The ends (low, high) between which median_of_k's true curve lies at all k at once: two arrays [len(k)].

    NaN where the band says nothing on that side: the trials are too few for it.
    Raises ValueError for no values, a k below 1, or a confidence outside (0, 1).
    S3: quantiles under F +- epsilon, epsilon = sqrt(ln(2/alpha) / 2n) (Dvoretzky, Kiefer and Wolfowitz 1956 with the
    constant of Massart 1990; for tuning curves Lourie 2023).
    """
    ordered = np.sort(finite(values))
    epsilon = _epsilon(ordered.size, confidence)
    q = 0.5 ** (1 / _budgets(k))
    return _quantile(ordered, q - epsilon), _quantile(ordered, q + epsilon)


def largest_k(n: int, confidence: float = 0.95) -> int:
    """Up to which k the band of n trials is bounded on both sides; 0 if for none.

    Raises ValueError for n below 1, or a confidence outside (0, 1).
    S3: 0.5^(1/k) <= 1 - epsilon, and epsilon below the median's 0.5; about sqrt(n) / 2 at 95 %.
    """
    if n < 1:
        raise ValueError(f"{n} trials; expected at least one")
    epsilon = _epsilon(n, confidence)
    return math.floor(math.log(0.5) / math.log1p(-epsilon)) if epsilon < 0.5 else 0


@dataclass(frozen=True)
class Tunability:
    """The share of trials close to the best, its 95 % interval, and the trials for a 95 % chance of such a one."""

    share: float
    low: float
    high: float
    trials: int


def tunability(values: ArrayLike, delta: float) -> Tunability:
    """How easily a random search comes within `delta` (a fraction: .005 is half a point) of the best of `values` [n].

    Raises ValueError for no values, or a negative delta.
    S4: Wilson interval; the trials are ceil(ln .05 / ln(1 - share)), 1 if all trials are that close
    (Bergstra and Bengio 2012).
    """
    if not delta >= 0:
        raise ValueError(f"delta = {delta}; expected at least 0")
    found = finite(values)
    n, near = found.size, int(np.count_nonzero(found >= found.max() - delta - SINGLE))
    trials = math.ceil(math.log(0.05) / math.log((n - near) / n)) if near < n else 1
    return Tunability(near / n, *share_interval(near, n), trials)


def win_probability(a: ArrayLike, b: ArrayLike, k: int) -> float:
    """The probability that the best of k trials of a [n] beats the best of k trials of b [m]; a tie counts half.

    Raises ValueError for no values on a side, or a k below 1.
    S5: sum_ij w(i) w(j) [1(a_(i) > b_(j)) + 1/2 1(a_(i) = b_(j))] with the weights w of best_of_k.
    """
    one, two = np.sort(finite(a)), np.sort(finite(b))
    budget = _budgets(k)
    signs = np.sign(one[:, None] - two)
    return float(0.5 + 0.5 * (_weights(one.size, budget)[0] @ signs @ _weights(two.size, budget)[0]))


def _weights(n: int, k: NDArray[np.int64]) -> Array:
    """The probability that the i-th lowest of n is the best of k draws with replacement: [len(k), n], rows sum to 1."""
    return np.diff((np.arange(n + 1) / n) ** k[:, None], axis=1)


def _quantile(ordered: Array, q: Array) -> Array:
    """The lowest value with at least a share q of the values [n] at or below it, for each q; NaN outside (0, 1]."""
    n = ordered.size
    ranks = np.clip(np.ceil(n * q).astype(int), 1, n)
    return np.where((q > 0) & (q <= 1), ordered[ranks - 1], np.nan)


def _epsilon(n: int, confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}; expected one between 0 and 1")
    return math.sqrt(math.log(2 / (1 - confidence)) / (2 * n))


def _budgets(k: ArrayLike, most: int | None = None) -> NDArray[np.int64]:
    """k as whole numbers [len(k)], checked."""
    found = np.atleast_1d(np.asarray(k))
    if not np.issubdtype(found.dtype, np.integer) or found.ndim != 1 or found.size == 0 or found.min() < 1:
        raise ValueError(f"k = {k!r}; expected whole numbers from 1")
    if most is not None and found.max() > most:
        raise ValueError(f"k = {found.max()}; expected at most {most}, the number of trials")
    return found.astype(np.int64)
