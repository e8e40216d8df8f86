"""Finals: which configurations enter, which go on after a round, and which is best. This knows no database.

The rounds are planned when the finals begin (see definition/rounds.py), so their total of trials is known from then on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from optbench.definition.rounds import Round
from optbench.definition.sweep import FixedTrial
from optbench.randomness import Purpose, seed

if TYPE_CHECKING:
    from optbench.statistics.seeds import Mean

LATE = 1 / 3
"""A pruned trial may enter the finals if it was trained for at least this part of the epochs.

By then its accuracy is near its last one, so that comparing it with those of complete trials compares configurations.
Earlier values compare how fast they learn.
"""


@dataclass(frozen=True)
class FinalsPlan:
    """How finals were planned: their rounds, and how many trials the search had finished then."""

    rounds: tuple[Round, ...]
    searched: int

    @property
    def total(self) -> int:
        """The number of trials of all rounds."""
        return sum(one.trainings for one in self.rounds)

    def round_of(self, slot: int) -> int:
        """The index of the round to which the slot belongs."""
        return sum(slot >= end for end in self.ends)

    @property
    def ends(self) -> list[int]:
        """The number of trials up to the end of each round."""
        return list(accumulate(one.trainings for one in self.rounds))


@dataclass(frozen=True)
class Candidate:
    """A configuration that may enter the finals: its trial in the search, and that trial's last validation accuracy."""

    trial: int
    optimizer: str
    hparams: Mapping[str, float]
    value: float
    known: bool = False


def enters(complete: bool, epochs: int, length: int) -> bool:
    """Whether a trial that did not diverge came far enough: it is complete, or it was pruned late."""
    return complete or epochs >= math.ceil(LATE * length)


def chosen(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The known settings and the best of the other candidates, `count` together, best single run first."""
    ranked = sorted(candidates, key=lambda one: (-one.value, one.trial))
    known = [one for one in ranked if one.known][:count]
    entered = {one.trial for one in [*known, *[one for one in ranked if not one.known][: count - len(known)]]}
    return [one for one in ranked if one.trial in entered]


def first_round(candidates: Sequence[Candidate], seeds: int, sweep_seed: int) -> tuple[FixedTrial, ...]:
    """The trials of the first round: each candidate on the same fresh seeds."""
    return tuple(
        FixedTrial(one.optimizer, dict(one.hparams), number, f"trial {one.trial}", source_trial=one.trial)
        for one in candidates
        for number in fresh_seeds(sweep_seed, 0, seeds)
    )


def next_round(
    plan: FinalsPlan, fixed: Sequence[FixedTrial], values: Mapping[int, float], sweep_seed: int
) -> tuple[FixedTrial, ...]:
    """The trials of the round that follows those in the list `fixed`, whose accuracies are `values`, by slot.

    Empty while a trial of the list has no value, and after the last round.
    """
    if len(fixed) >= plan.total or len(values) < len(fixed):
        return ()
    index = plan.round_of(len(fixed))
    trained, coming = sum(one.seeds for one in plan.rounds[:index]), plan.rounds[index]
    settings = {trial.source_trial: trial for trial in reversed(fixed)}
    better = [settings[one.trial] for one in ranked(plan, fixed, values)[: coming.candidates]]
    return tuple(
        FixedTrial(one.optimizer, one.params, number, one.label, source_trial=one.source_trial)
        for one in better
        for number in fresh_seeds(sweep_seed, trained, coming.seeds)
    )


def fresh_seeds(sweep_seed: int, first: int, count: int) -> list[int]:
    """The fresh seeds of the finals of a sweep, from index `first` on; all candidates share them."""
    return [seed(Purpose.FINALS, sweep_seed, index) for index in range(first, first + count)]


@dataclass(frozen=True)
class Finalist:
    """A configuration in finals: the number of its trial in the search, its accuracies by seed, and its rounds.

    `searched` is the accuracy of its single run in the search, by which it was picked.
    """

    trial: int
    scores: Mapping[int, float]
    rounds: int
    searched: float | None = None

    @property
    def mean(self) -> float:
        """The mean over its fresh seeds."""
        return sum(self.scores.values()) / len(self.scores)

    @property
    def interval(self) -> "Mean":
        """The mean over its fresh seeds with its 95 % interval, and the number of seeds."""
        from optbench.statistics.seeds import mean_interval  # loads scipy, which takes half a second

        return mean_interval(list(self.scores.values()))

    @property
    def optimism(self) -> float | None:
        """By how much the single run of the search was above the mean over fresh seeds."""
        return None if self.searched is None else self.searched - self.mean


def ranked(plan: FinalsPlan, fixed: Sequence[FixedTrial], values: Mapping[int, float]) -> list[Finalist]:
    """The finalists that have a score, best first: by how far they came, then by the mean over their fresh seeds.

    Equal ones keep the order of their single runs.
    """
    scores: dict[int, dict[int, float]] = {}
    reached: dict[int, int] = {}
    for slot, trial in enumerate(fixed):
        if trial.source_trial is None or trial.seed is None:
            continue
        reached[trial.source_trial] = plan.round_of(slot) + 1
        if slot in values:
            scores.setdefault(trial.source_trial, {})[trial.seed] = values[slot]
    found = [Finalist(trial, scores[trial], reached[trial]) for trial in reached if trial in scores]
    return sorted(found, key=lambda one: (-one.rounds, -one.mean))
