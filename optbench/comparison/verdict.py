"""The verdict: for each pair of arms one sentence with its numbers."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from optbench.comparison.arms import Arm, shared_seeds
from optbench.comparison.rows import interval
from optbench.statistics.paired import Equivalence, Improvement, Paired, equivalence, improvement, paired
from optbench.statistics.power import MAX_SEEDS, SIGNIFICANT, seeds_to_decide
from optbench.statistics.pvalues import holm, min_p
from optbench.statistics.seeds import Confirmation, confirmation


class Conclusion(StrEnum):
    """What a comparison of two arms concludes. BELOW_MARGIN: a difference is shown, but it counts as equal."""

    BETTER = "better"
    EQUAL = "equal"
    BELOW_MARGIN = "below margin"
    UNDECIDED = "undecided"


class Test(StrEnum):
    """The tests of a verdict. A difference needs the first two, equality the third (two one-sided t-tests)."""

    INTERVAL = "95 % interval"
    SIGN_FLIPS = "sign flips"
    TOST = "TOST"


@dataclass(frozen=True)
class Pair:
    """Two confirmed arms on the seeds that they share.

    `means` are the scores of a and of b. `p` is the p-value of the sign-flip test, corrected for all `pairs` of the
    comparison. `margin` is the difference that counts as equal, in percentage points. `place` is the option that a
    suggested command needs to find the database.
    """

    a: Arm
    b: Arm
    means: tuple[Confirmation, Confirmation]
    difference: Paired
    equal: Equivalence
    better: Improvement
    p: float
    pairs: int
    margin: float
    place: str = ""

    @property
    def failed(self) -> tuple[Test, ...]:
        """The tests that failed: those of a difference (interval, sign flips), and that of equality (TOST)."""
        d = self.difference
        holds = {
            Test.INTERVAL: d.low > 0 or d.high < 0,
            Test.SIGN_FLIPS: self.p < SIGNIFICANT,
            Test.TOST: self.equal.equal,
        }
        return tuple(test for test, held in holds.items() if not held)

    @property
    def conclusion(self) -> Conclusion:
        """What is shown."""
        real = Test.INTERVAL not in self.failed and Test.SIGN_FLIPS not in self.failed
        if Test.TOST not in self.failed:
            return Conclusion.BELOW_MARGIN if real else Conclusion.EQUAL
        return Conclusion.BETTER if real else Conclusion.UNDECIDED

    @property
    def winner(self) -> Arm | None:
        """The arm that is better, where one is."""
        if self.conclusion is not Conclusion.BETTER:
            return None
        return self.a if self.difference.mean > 0 else self.b

    @property
    def seeds_to_decide(self) -> int | None:
        """About how many seeds would decide; None if the pair is decided, or if it would take more than 200."""
        if self.conclusion is not Conclusion.UNDECIDED:
            return None
        d = self.difference
        found = seeds_to_decide(d.mean, d.deviation, self.margin / 100, self.pairs)
        return None if found is None else min(MAX_SEEDS, max(found, d.n + 1))

    @property
    def sentence(self) -> str:
        """The verdict with its numbers."""
        (x, y), d = self.means, self.difference
        return (
            f"{self.a.name} {interval(x)} %, {self.b.name} {interval(y)} %, difference {100 * d.mean:+.2f} "
            f"[{100 * d.low:+.2f}, {100 * d.high:+.2f}] percentage points over {d.n} paired seeds: {self._verdict()}"
        )

    def _verdict(self) -> str:
        within, tost = f"{self.margin:g} percentage points", f"p (TOST) = {self.equal.p:.2g}"
        match self.conclusion:
            case Conclusion.EQUAL:
                return f"equal within {within} ({tost})"
            case Conclusion.BELOW_MARGIN:
                return f"the difference is real ({self._p()}), but within the {within} that count as equal ({tost})"
            case Conclusion.BETTER:
                return f"{self.winner.name if self.winner else ''} is better ({self._p()} by sign flips)"
        return f"undecided: {self._why()}; {self._advice()}"

    def _why(self) -> str:
        """Which tests failed, with their numbers."""
        n, flips = self.difference.n, f"the sign-flip test gives {self._p()}"
        if self.difference.sign_flip_p <= min_p(n) and Test.SIGN_FLIPS in self.failed:
            flips += f", the smallest that {n} seeds can reach"
        interval_ = "the 95 % interval includes 0"
        tost = f"(p (TOST) = {self.equal.p:.2g})"
        if Test.INTERVAL not in self.failed:
            shown = f"the 95 % interval excludes 0, but {flips}"
        elif Test.SIGN_FLIPS not in self.failed:
            shown = f"{flips}, but {interval_}"
        else:
            shown = f"{interval_} and {flips}"
        return f"{shown}; equality within {self.margin:g} percentage points is not shown {tost}"

    def _advice(self) -> str:
        seeds = self.seeds_to_decide
        if seeds is None:
            return f"it would take more than {MAX_SEEDS} seeds to decide"
        names = " ".join(shlex.quote(arm.source.study.name) for arm in (self.a, self.b))
        return f"about {seeds} seeds would decide: `optbench confirm {names} --seeds {seeds}{self.place}`"

    def _p(self) -> str:
        return f"p = {self.p:.2g}" + (f", corrected for {self.pairs} pairs" if self.pairs > 1 else "")


def pairs(arms: Sequence[Arm], margin: float, place: str = "") -> list[Pair]:
    """Every pair of confirmed arms that share at least two seeds.

    `margin` is the difference that counts as equal, in percentage points.
    """
    found = []
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        one, two, shared = a.confirmed[0].scores, b.confirmed[0].scores, shared_seeds(a, b)
        if len(shared) >= 2:
            found.append((a, b, [one[seed] for seed in shared], [two[seed] for seed in shared]))
    differences = [paired(x, y) for *_, x, y in found]
    corrected = holm([difference.sign_flip_p for difference in differences])
    return [
        Pair(
            a=a,
            b=b,
            means=(confirmation(x), confirmation(y)),
            difference=difference,
            equal=equivalence(x, y, margin / 100),
            better=improvement(x, y),
            p=p,
            pairs=len(found),
            margin=margin,
            place=place,
        )
        for (a, b, x, y), difference, p in zip(found, differences, corrected, strict=True)
    ]
