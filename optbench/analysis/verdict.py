"""The verdict: a row for each arm, and for each pair of them one sentence in plain words with its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from optbench.analysis.arms import Arm, Comparison, is_default, is_paper, points, shared_seeds
from optbench.analysis.pvalues import holm, least_p
from optbench.analysis.remarks import remarks
from optbench.analysis.statistics import (
    Confirmation,
    Equivalence,
    Improvement,
    Paired,
    confirmation,
    equivalence,
    improvement,
    paired,
)

ENOUGH = 6  # pairs: with fewer no two-sided exact test can reach p < .05


@dataclass(frozen=True)
class Row:
    """One arm, from default over paper to tuned; test accuracies as fractions, None where nothing was measured."""

    arm: Arm
    default: Confirmation | None
    paper: Confirmation | None
    tuned: Confirmation | None

    @property
    def optimism(self) -> float | None:
        """The search's validation accuracy less the confirmed test accuracy: how much the search was flattered, as far
        as its validation images are no easier and the 10,000 more that the confirmation trains on do not help.
        """
        best = self.arm.trial.value
        return None if self.tuned is None or best is None else best - self.tuned.mean


@dataclass(frozen=True)
class Pair:
    """Two confirmed arms on the seeds that they share; `p` is that of the sign flips, corrected for all `pairs` of the
    comparison, `margin` the difference that counts as equal, in percentage points.
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

    @property
    def sentence(self) -> str:
        """The verdict with its numbers."""
        (x, y), d = self.means, self.difference
        return (
            f"{self.a.name} {interval(x)} %, {self.b.name} {interval(y)} %, difference {100 * d.mean:+.2f} "
            f"[{100 * d.low:+.2f}, {100 * d.high:+.2f}] points over {d.n} paired seeds: {self._verdict()}"
        )

    def _verdict(self) -> str:
        d, within = self.difference, f"{self.margin:g} points"
        if d.n < ENOUGH and not self.equal.equal:
            return f"undecided, for {d.n} seeds cannot reach p < .05 (the least is {least_p(d.n):.3f}); confirm more"
        real = (d.low > 0 or d.high < 0) and self.p < 0.05
        if self.equal.equal:
            return f"{'real but smaller than' if real else 'equal, within'} the {within} you called equal"
        if real:
            over = f", corrected for {self.pairs} pairs" if self.pairs > 1 else ""
            return f"{(self.a if d.mean > 0 else self.b).name} is better (p = {self.p:.2g} by sign flips{over})"
        return f"undecided: neither a difference nor equality within {within} is shown; more seeds would tell"


def rows(comparison: Comparison) -> list[Row]:
    """A row for each arm."""
    found = []
    for arm in comparison.arms:
        settings = [
            ([t.value for t in source.trials if t.label == trial.label and t.value is not None], trial)
            for source in comparison.fixed
            for _, trial in source.settings
            if trial.optimizer == arm.optimizer
            and any(t.value is not None for t in source.trials if t.label == trial.label)
        ]
        default = next((confirmation(values) for values, trial in settings if is_default(trial)), None)
        paper = next((confirmation(values) for values, trial in settings if is_paper(trial)), None)
        tuned = confirmation(list(arm.confirmed[0].scores.values())) if arm.confirmed else None
        found.append(Row(arm, default, paper, tuned))
    return found


def pairs(arms: Sequence[Arm], margin: float) -> list[Pair]:
    """Every pair of confirmed arms; `margin` is the difference that counts as equal, in percentage points."""
    found = []
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        one, two, shared = a.confirmed[0].scores, b.confirmed[0].scores, shared_seeds(a, b)
        if len(shared) >= 2:
            found.append((a, b, [one[seed] for seed in shared], [two[seed] for seed in shared]))
    differences = [paired(x, y) for *_, x, y in found]
    corrected = holm([difference.sign_flip_p for difference in differences])
    return [
        Pair(
            a, b, (confirmation(x), confirmation(y)), difference, equivalence(x, y, margin / 100), improvement(x, y), p,
            len(found), margin,
        )
        for (a, b, x, y), difference, p in zip(found, differences, corrected, strict=True)
    ]  # fmt: skip


def interval(found: Confirmation | None) -> str:
    """A mean with the half of its interval, in percent."""
    if found is None:
        return "-"
    half = (found.high - found.low) / 2
    return points(found.mean) if found.n < 2 else f"{points(found.mean)} +- {points(half)}"


def as_plain(comparison: Comparison, found: Sequence[Row], verdicts: Sequence[Pair], margin: float) -> dict[str, Any]:
    """The comparison as plain data with stable keys."""
    return {
        "arms": [
            {
                "study": row.arm.name,
                "optimizer": row.arm.optimizer,
                "trials": row.arm.trials,
                "epochs": row.arm.consumed,
                "trial": row.arm.trial.number,
                "validation_accuracy": row.arm.trial.value,
                "repeats": list(row.arm.spread),
                "hyperparameters": dict(row.arm.trial.hyperparameters),
                **{key: value and vars(value) for key, value in _stages(row).items()},
                "optimism": row.optimism,
            }
            for row in found
        ],
        "pairs": [
            {
                "a": pair.a.name,
                "b": pair.b.name,
                "difference": vars(pair.difference),
                "equivalence": vars(pair.equal),
                "improvement": vars(pair.better),
                "corrected_p": pair.p,
                "sentence": pair.sentence,
            }
            for pair in verdicts
        ],
        "equal_within_points": margin,
        "differences": list(comparison.differences),
        "remarks": remarks(comparison),
        "test_evaluations": dict(comparison.test_evaluations),
    }


def _stages(row: Row) -> dict[str, Confirmation | None]:
    return {"default": row.default, "paper": row.paper, "tuned": row.tuned}
