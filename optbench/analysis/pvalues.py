"""What p-values can say: the least that so many pairs reach, and their correction for their number."""

from collections.abc import Sequence


def least_p(n: int) -> float:
    """The smallest two-sided p that n pairs can reach by flipping signs: 2 / 2^n, above .05 up to n = 5."""
    if n < 1:
        raise ValueError(f"{n} pairs; expected at least one")
    return 2.0 ** (1 - n)


def holm(p: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in the same order: below .05, one is wrong with 5 % chance at most.

    Raises ValueError for one outside 0 to 1. Holm 1979: the i-th smallest of m times m + 1 - i, rising, 1 at most.
    """
    if any(not 0 <= value <= 1 for value in p):
        raise ValueError(f"p = {list(p)}; expected values from 0 to 1")
    corrected, least = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        least = max(least, min(1.0, p[index] * (len(p) - rank)))
        corrected[index] = least
    return corrected
