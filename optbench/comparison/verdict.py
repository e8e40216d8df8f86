"""The verdict: for each pair of arms one sentence with its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optbench.comparison.arms import Arm, shared_seeds
from optbench.comparison.conclusions import Conclusion, Statement, Test
from optbench.comparison.confirmation import in_order
from optbench.comparison.sentences import sentence
from optbench.statistics.paired import Equivalence, Improvement, Paired, equivalence, improvement, paired
from optbench.statistics.power import MAX_SEEDS, SIGNIFICANT, seeds_to_decide
from optbench.statistics.pvalues import holm
from optbench.statistics.seeds import SINGLE, Confirmation, confirmation
from optbench.statistics.sequential import ALPHA, ConfidenceSequence, confidence_sequence


@dataclass(frozen=True)
class Pair:
    """Two confirmed arms on the seeds that they share.

    `means` are the scores of a and of b. `p` is the p-value of the sign-flip test, corrected for all `pairs` of the
    comparison. `margin` is the difference that counts as equal, in percentage points. `sequence` is there if seeds were
    added until a comparison was decided. Their number then depends on what they showed, and only the confidence
    sequence, corrected for all pairs, decides. `place` is the option that a suggested command needs to find the
    database.
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
    sequence: ConfidenceSequence | None = None
    place: str = ""

    @property
    def statement(self) -> Statement:
        """When the probability of an error holds."""
        return Statement.FIXED_N if self.sequence is None else Statement.EVERY_LOOK

    @property
    def varies(self) -> bool:
        """Whether the differences are not all the same. If they are, nothing is decided: their spread is unknown."""
        return self.difference.deviation >= SINGLE

    @property
    def failed(self) -> tuple[Test, ...]:
        """The tests that failed: those of a difference (interval, sign flips), and that of equality (TOST)."""
        if self.sequence is not None:
            return (Test.SEQUENCE,) if self.conclusion is Conclusion.UNDECIDED else ()
        d = self.difference
        holds = {
            Test.INTERVAL: self.varies and (d.low > 0 or d.high < 0),
            Test.SIGN_FLIPS: self.p < SIGNIFICANT,
            Test.TOST: self.equal.equal,
        }
        return tuple(test for test, held in holds.items() if not held)

    @property
    def conclusion(self) -> Conclusion:
        """What is shown."""
        if self.sequence is not None:
            low, high, margin = self.sequence.low, self.sequence.high, self.margin / 100
            real, equal = low > 0 or high < 0, -margin < low and high < margin
        else:
            real = Test.INTERVAL not in self.failed and Test.SIGN_FLIPS not in self.failed
            equal = Test.TOST not in self.failed
        if equal:
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
        """A guess of how many seeds would decide; None if the pair is decided, or if it would take more than 200."""
        if self.conclusion is not Conclusion.UNDECIDED or not self.varies:
            return None
        d = self.difference
        found = seeds_to_decide(d.mean, d.deviation, self.margin / 100, self.pairs)
        return None if found is None else min(MAX_SEEDS, max(found, d.n + 1))

    @property
    def sentence(self) -> str:
        """The verdict with its numbers."""
        return sentence(self)


def pairs(arms: Sequence[Arm], margin: float, place: str = "") -> list[Pair]:
    """Every pair of confirmed arms that share at least two seeds.

    `margin` is the difference that counts as equal, in percentage points.
    """
    found = []
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        one, two, shared = a.confirmed[0].scores, b.confirmed[0].scores, in_order(shared_seeds(a, b))
        if len(shared) >= 2:
            found.append((a, b, np.array([one[seed] for seed in shared]), np.array([two[seed] for seed in shared])))
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
            sequence=confidence_sequence(x - y, ALPHA / len(found)) if _looked_at(a, b) else None,
            place=place,
        )
        for (a, b, x, y), difference, p in zip(found, differences, corrected, strict=True)
    ]


def _looked_at(*arms: Arm) -> bool:
    """Whether seeds were added to a confirmation until a comparison was decided."""
    return any(arm.confirmed[0].until_decided is not None for arm in arms)
