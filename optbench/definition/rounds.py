"""The rounds of finals: how many candidates are trained on how many fresh seeds, within a budget of trainings.

Sequential halving (Karnin et al. 2013): every round gets about the same number of trainings, and the better half of
its candidates enters the next one, until two are left. See docs/statistics.md.
"""

import itertools
import math
from dataclasses import dataclass

from optbench.errors import counted

MOST = 5  # candidates, unless a file or a command asks for more


@dataclass(frozen=True)
class Round:
    """One round of finals: each of the `candidates` is trained on the same `seeds` fresh seeds."""

    candidates: int
    seeds: int

    @property
    def trainings(self) -> int:
        """The number of trials of this round."""
        return self.candidates * self.seeds


def rounds(candidates: int, budget: int) -> tuple[Round, ...]:
    """The rounds of so many candidates within a budget of trainings; empty if they do not fit.

    They fit if every round has a seed and the winner has at least two.
    """
    if candidates < 2 or budget < smallest(candidates):
        return ()
    sizes, found, left = _sizes(candidates), list[Round](), budget
    for index, size in enumerate(sizes):
        share = left // (len(sizes) - index)
        affordable = (left - sum(sizes[index + 1 :])) // size
        found.append(Round(size, max(1, min(share // size, affordable))))
        left -= found[-1].trainings
    return tuple(found)


def smallest(candidates: int) -> int:
    """The smallest number of trainings in which finals of so many candidates fit."""
    sizes = _sizes(candidates)
    return sum(sizes) if len(sizes) > 1 else 2 * candidates


def fitting(available: int, budget: int) -> int:
    """The largest number of candidates, at most 5, whose finals fit into a budget of trainings; 0 if none do."""
    return max((n for n in range(2, min(available, MOST) + 1) if smallest(n) <= budget), default=0)


def trainings(fraction: float | None, trials: int) -> int:
    """The number of trainings in a budget, which is a fraction of the search's trials.

    None is the default: 0.16, or 10 trainings if that is more, but at most 0.25. It comes from a simulation
    (`python -m tests.benchmarks.finals`).
    """
    if fraction is None:
        return max(trainings(0.16, trials), min(10, trainings(0.25, trials)))
    return math.floor(fraction * trials + 1e-9)


def least_budget(trials: int, candidates: int) -> float:
    """The smallest fraction of a search's trials in which finals of so many candidates fit; above 1 if none do."""
    return math.ceil(100 * smallest(candidates) / trials) / 100


def too_small(fraction: float | None, trials: int, candidates: int, needed: int) -> str:
    """The message for a budget in which finals of so many candidates do not fit."""
    enough = least_budget(trials, candidates)
    given = "the default budget" if fraction is None else f"budget = {fraction:g}"
    if enough <= 1:
        expected = f"[finals] budget = {enough:g} or more"
    else:
        longer = next(count for count in itertools.count(trials) if trainings(fraction, count) >= needed)
        expected = f"a search of at least {longer} trials"
    share = f"{given} of a search of {trials} trials is {counted(trainings(fraction, trials), 'training')}"
    return f"{share}, but {candidates} candidates need {needed}; expected {expected}"


def _sizes(candidates: int) -> list[int]:
    """The number of candidates in each round: half of them go on, rounded up, until two are left."""
    sizes = [candidates]
    while sizes[-1] > 2:
        sizes.append(math.ceil(sizes[-1] / 2))
    return sizes
