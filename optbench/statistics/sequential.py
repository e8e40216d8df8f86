"""A confidence sequence: an interval for the mean of paired differences that holds at every look.

Every function is pure and takes differences of accuracies (fractions from -1 to 1). docs/statistics.md has the formula
and the simulations that it was chosen by.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optbench.statistics.seeds import SINGLE, Array, finite

ALPHA = 0.05
EFFECTS: Array = np.array([0.5, 1.0, 3.0])
"""The effects that are bet on, as multiples of the differences' spread."""
POINTS, HALVINGS = 400, 40
"""How many values are tried on the way to an end of the interval, and how often the last step is halved."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """The mean of the first n differences, with an interval from `low` to `high` that holds for all n at once.

    The probability that any of the intervals misses the true mean is at most `alpha`.
    """

    n: int
    mean: float
    low: float
    high: float
    alpha: float


def confidence_sequence(differences: ArrayLike, alpha: float = ALPHA) -> ConfidenceSequence:
    """The confidence sequence after `differences` [n], in the order of their seeds.

    It assumes that each difference is independent of the others and symmetric around the true mean; the spread may be
    anything. A mean is inside unless bets against symmetry around it have won 1 / alpha. The interval is -1 to 1 while
    all differences are the same, because they say nothing about the spread, and it always contains their mean.
    Raises ValueError for no differences, values that are not finite, or an alpha outside (0, 1).
    Ramdas et al. 2020, Waudby-Smith and Ramdas 2023; docs/statistics.md.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha = {alpha}; expected a probability between 0 and 1")
    found = finite(differences)
    mean, low, high = float(found.mean()), -1.0, 1.0
    if np.ptp(found) >= SINGLE:
        low, high = min(-_end(-found, alpha), mean), max(_end(found, alpha), mean)
    return ConfidenceSequence(n=found.size, mean=mean, low=low, high=high, alpha=alpha)


def wealth(centred: ArrayLike) -> Array:
    """What bets against symmetry around 0 have made of a stake of 1 after each of the values: [..., n] like `centred`.

    The bet on the sign of x_i is ±tanh(effect |x_i| / s_i), where s_i is the root mean square of x_1 to x_i. The wealth
    is the mean over both signs and all EFFECTS. If the values are independent and symmetric around 0, the probability
    that it ever reaches w is at most 1 / w (Ville 1939).
    """
    x = np.asarray(centred, dtype=np.float64)
    spread = np.sqrt((x**2).cumsum(-1) / np.arange(1, x.shape[-1] + 1))
    relative = np.divide(x, spread, out=np.zeros_like(x), where=spread > 0)
    bets = np.tanh(relative[..., None, :] * EFFECTS[:, None])
    return np.asarray((np.cumprod(1 + bets, -1) + np.cumprod(1 - bets, -1)).mean(-2) / 2)


def _end(differences: Array, alpha: float) -> float:
    """The largest mean, at most 1, against which less than 1 / alpha was won."""
    start = float(np.median(differences))
    steps = np.geomspace(1e-3 * float(np.ptp(differences)), 1 - min(start, 0.999), POINTS)
    inside = np.flatnonzero(_inside(differences, start + steps, alpha))
    if inside.size and inside[-1] == POINTS - 1:
        return 1.0
    last = int(inside[-1]) if inside.size else -1
    low, high = start + (steps[last] if last >= 0 else 0.0), start + steps[last + 1]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(differences, np.array([middle]), alpha)[0] else (low, middle)
    return float(high)


def _inside(differences: Array, means: Array, alpha: float) -> NDArray[np.bool_]:
    return np.asarray(wealth(differences - means[:, None])[:, -1] < 1 / alpha)
