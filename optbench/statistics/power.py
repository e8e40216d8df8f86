"""How many seeds a verdict needs."""

from scipy import stats

from optbench.statistics.pvalues import min_p

SIGNIFICANT = 0.05
MAX_SEEDS = 200  # what `optbench confirm` takes


def seeds_to_decide(mean: float, deviation: float, margin: float, pairs: int = 1) -> int | None:
    """An estimate of how many shared seeds would decide a pair; None if more than 200.

    It is the smaller of two numbers: how many seeds would show a difference, and how many would show equality within
    `margin`, if the `mean` and the standard `deviation` of the differences by seed stay what they are. All three are
    fractions. `pairs` is the number of pairs that the p-values are corrected for.
    Raises ValueError for a deviation below 0, or a margin that is not above 0.
    docs/statistics.md.
    """
    if not deviation >= 0 or not margin > 0:
        raise ValueError(f"a deviation of {deviation} and a margin of {margin}; expected at least 0 and above 0")
    for n in range(2, MAX_SEEDS + 1):
        if _differs(n, mean, deviation, pairs) or _equal(n, mean, deviation, margin):
            return n
    return None


def _differs(n: int, mean: float, deviation: float, pairs: int) -> bool:
    """Whether n pairs can reach a corrected p below .05 by sign flips, and a t-test of such data does."""
    limit = SIGNIFICANT / pairs
    if min_p(n) >= limit or mean == 0:
        return False
    return deviation == 0 or bool(2 * stats.t.sf(abs(mean) / (deviation / n**0.5), n - 1) < limit)


def _equal(n: int, mean: float, deviation: float, margin: float) -> bool:
    """Whether the 90 % interval of such data from n pairs lies inside the margin."""
    return bool(abs(mean) + stats.t.ppf(0.95, n - 1) * deviation / n**0.5 < margin)
