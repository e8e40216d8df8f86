"""The way of each arm from default over paper to tuned, and what tuning gained, on the seeds that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from optbench.comparison.arms import Arm, Comparison, is_default, is_paper, percent
from optbench.comparison.settings import measured
from optbench.statistics.paired import Paired, paired
from optbench.statistics.power import SIGNIFICANT
from optbench.statistics.pvalues import holm, least_pairs
from optbench.statistics.seeds import Confirmation, confirmation


class Stage(StrEnum):
    """A stage on the way to the tuned configuration."""

    DEFAULT = "default"
    PAPER = "paper"
    TUNED = "tuned"


IN_WORDS: Mapping[Stage, str] = {Stage.DEFAULT: "Keras' defaults", Stage.PAPER: "the paper's setting"}


@dataclass(frozen=True)
class Row:
    """One arm: the test accuracies of each stage by seed, as fractions; empty where nothing was measured.

    Default and paper have the tuned configuration's seeds where at least two of these were trained, and otherwise all
    seeds that were.
    """

    arm: Arm
    scores: Mapping[Stage, Mapping[int, float]]

    @cached_property
    def default(self) -> Confirmation | None:
        """The summary of Keras' defaults."""
        return self._summary(Stage.DEFAULT)

    @cached_property
    def paper(self) -> Confirmation | None:
        """The summary of the paper's setting."""
        return self._summary(Stage.PAPER)

    @cached_property
    def tuned(self) -> Confirmation | None:
        """The summary of the tuned configuration."""
        return self._summary(Stage.TUNED)

    @property
    def optimism(self) -> float | None:
        """Validation accuracy of the run in the search minus the confirmed test accuracy, a fraction.

        It is usually above 0, because the configuration was picked by its validation accuracy. The two sets also differ
        in difficulty, and the confirmation trains on the validation examples, too.
        """
        return None if self.tuned is None else self.arm.selection.single - self.tuned.mean

    def gain(self, stage: Stage) -> Paired | None:
        """Tuned minus that stage on the seeds that they share; None for fewer than two, or if both are one setting."""
        if (is_default if stage is Stage.DEFAULT else is_paper)(self.arm.trial):
            return None
        tuned, other = self.scores[Stage.TUNED], self.scores[stage]
        shared = sorted(tuned.keys() & other.keys())
        if len(shared) < 2:
            return None
        return paired([tuned[seed] for seed in shared], [other[seed] for seed in shared])

    def _summary(self, stage: Stage) -> Confirmation | None:
        scores = self.scores[stage]
        return confirmation(list(scores.values())) if scores else None


@dataclass(frozen=True)
class Gain:
    """What tuning gained over the default or the paper's setting; `p` is corrected for all `gains` that are tested."""

    row: Row
    over: Stage
    difference: Paired
    p: float
    gains: int

    @property
    def sentence(self) -> str:
        """The gain with its interval and its p-value."""
        d = self.difference
        size = f"[{100 * d.low:+.2f}, {100 * d.high:+.2f}] percentage points"
        tests = f" and corrected for {self.gains} gains" if self.gains > 1 else ""
        p = f"(p = {self.p:.2g} by sign flips{tests}, over {d.n} paired seeds)"
        over = IN_WORDS[self.over]
        if self.p >= SIGNIFICANT or d.low <= 0 <= d.high:
            needed = least_pairs(SIGNIFICANT / self.gains)
            few = f"; {d.n} seeds cannot show one, {needed} can" if d.n < needed else ""
            return f"{self.row.arm.name}: no gain over {over} is shown: {100 * d.mean:+.2f} {size} {p}{few}"
        verb = "gained" if d.mean > 0 else "lost"
        side = "over" if d.mean > 0 else "against"
        return f"{self.row.arm.name}: tuning {verb} {100 * d.mean:+.2f} {size} {side} {over} {p}"


def rows(comparison: Comparison) -> list[Row]:
    """A row for each arm."""
    return [Row(arm, _scores(comparison, arm)) for arm in comparison.arms]


def gains(found: Sequence[Row]) -> list[Gain]:
    """What tuning gained over default and paper, for each arm that was trained on the seeds of these, too."""
    pairs = [(row, stage, row.gain(stage)) for row in found for stage in IN_WORDS]
    measured_ = [(row, stage, difference) for row, stage, difference in pairs if difference is not None]
    corrected = holm([difference.sign_flip_p for *_, difference in measured_])
    return [
        Gain(row=row, over=stage, difference=difference, p=p, gains=len(measured_))
        for (row, stage, difference), p in zip(measured_, corrected, strict=True)
    ]


def interval(found: Confirmation | None) -> str:
    """A mean ± half of its 95 % interval, in percent without the sign; the mean alone where there is one seed."""
    if found is None:
        return "-"
    half = (found.high - found.low) / 2
    return percent(found.mean) if found.n < 2 else f"{percent(found.mean)} ± {percent(half)}"


def _scores(comparison: Comparison, arm: Arm) -> dict[Stage, Mapping[int, float]]:
    tuned = arm.confirmed[0].scores if arm.confirmed else {}
    known = {
        Stage.DEFAULT: measured(comparison, arm, is_default),
        Stage.PAPER: measured(comparison, arm, is_paper),
    }
    return {stage: shared_or_all(tuned, scores) for stage, scores in known.items()} | {Stage.TUNED: tuned}


def shared_or_all(seeds: Mapping[int, float], scores: Mapping[int, float]) -> Mapping[int, float]:
    """The scores on those seeds, if there are at least two; else all of them."""
    shared = {seed: score for seed, score in scores.items() if seed in seeds}
    return shared if len(shared) >= 2 else scores
