"""p-values: the smallest one that a number of pairs can reach, and the correction for several tests."""

from collections.abc import Sequence
from itertools import count


def min_p(n: int) -> float:
    """The smallest two-sided p that n pairs can reach by flipping signs: 2 / 2^n, which is above .05 up to n = 5.

    Raises ValueError for fewer than one pair.
    """
    if n < 1:
        raise ValueError(f"{n} pairs; expected at least one")
    return 2.0 ** (1 - n)


def least_pairs(limit: float) -> int:
    """The fewest pairs whose smallest p by flipping signs is below `limit`: 6 for .05.

    Raises ValueError for a limit that is not above 0.
    """
    if not limit > 0:
        raise ValueError(f"a limit of {limit}; expected one above 0")
    return next(n for n in count(1) if min_p(n) < limit)


def holm(p: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in the given order.

    If there is truly no difference in some of the tests, the probability that any of these gets a corrected p below .05
    is at most 5 %. The i-th smallest of m values is multiplied by m + 1 - i; in that order the results never fall, and
    they are at most 1.
    Raises ValueError for a value outside 0 to 1.
    Holm 1979; docs/statistics.md.
    """
    if any(not 0 <= value <= 1 for value in p):
        raise ValueError(f"p = {list(p)}; expected values from 0 to 1")
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, p[index] * (len(p) - rank)))
        corrected[index] = highest
    return corrected
