"""Finds the ends of ranges and lists at which the best trials of a search sit, and proposes wider ranges."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optbench.definition.space import Choice, Float
from optbench.optimizers import ONE_MINUS, OPTIMIZERS, Kind
from optbench.optimizers.knobs import BATCH, GLOBAL_CLIPNORM
from optbench.statistics.search import TOP, End, boundary, wider
from optbench.storage import StudyRecord, TrialRecord

LISTED = 3  # values of a list; the best trial of two is always at an end
USEFUL: Mapping[str, float] = {"epsilon": 1.0}
"""The largest values that are proposed. A larger epsilon outweighs the average that it is added to, and only scales the
learning rate.
"""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An end of a hyperparameter's range or list, at `bound`, where the best trials sit.

    `proposal` is a wider range; None if the values are a list.
    """

    name: str
    end: End
    bound: float
    proposal: tuple[float, float] | None = None

    @property
    def sentence(self) -> str:
        """The warning in words."""
        if self.proposal is None:
            which, more = ("smallest", "smaller") if self.end == "low" else ("largest", "larger")
            return f"{self.name}: the best trials have {self.bound:g}, the {which} of its list; try {more} ones, too."
        low, high = self.proposal
        return f"{self.name}: the best trials sit at its {self.end} end; try {low:.2g} to {high:.2g}."


def edges(study: StudyRecord, best: Sequence[TrialRecord]) -> list[Edge]:
    """Every end of a range or list at which the study's best trials sit (best first), unless it cannot be wider."""
    found: list[Edge] = []
    for name, dimension in study.sweep.space.items() if study.sweep else ():
        values = [trial.params[name] for trial in best if name in trial.params]
        if values and isinstance(dimension, Float):
            found += _of_range(study.optimizer, name, dimension, values)
        elif values and isinstance(dimension, Choice):
            most = study.facts.examples if name == BATCH and study.facts else math.inf
            found += _of_list(study.optimizer, name, dimension, values, most)
    return found


def _of_range(optimizer: str, name: str, dimension: Float, values: Sequence[float]) -> Iterator[Edge]:
    for end in boundary([dimension.unit(value) for value in values]).ends:
        proposal = _proposal(optimizer, name, dimension, end)
        if proposal != (dimension.low, dimension.high):
            bound = dimension.low if end == "low" else dimension.high
            yield Edge(name=name, end=end, bound=bound, proposal=proposal)


def _of_list(optimizer: str, name: str, dimension: Choice, values: Sequence[float], most: float) -> Iterator[Edge]:
    """The end that the best trial and at least half of the ten best have, in a list of three numbers or more.

    Nothing is above `most`. A list of norms that has 0, which means none, has no largest one.
    """
    known = OPTIMIZERS[optimizer].hyperparameters[name.removeprefix(ONE_MINUS)]
    if len(dimension.values) < LISTED or known.kind in (Kind.FLAG, Kind.NAME):
        return
    limits = (0.0, 1.0) if name.startswith(ONE_MINUS) else (known.low, known.high)
    top, smallest, largest = values[:TOP], min(dimension.values), max(dimension.values)
    crowded = 2 * top.count(top[0]) >= len(top)
    if crowded and top[0] == smallest > max(limits[0], 1 if known.kind is Kind.COUNT else limits[0]):
        yield Edge(name=name, end="low", bound=smallest)
    if crowded and top[0] == largest < min(limits[1], most) and not (name == GLOBAL_CLIPNORM and smallest == 0):
        yield Edge(name=name, end="high", bound=largest)


def _proposal(optimizer: str, name: str, dimension: Float, end: End) -> tuple[float, float]:
    """The range, wider at that end, within the hyperparameter's bounds and no further than is useful."""
    low, high = wider(dimension.low, dimension.high, dimension.log, end)
    if name.startswith(ONE_MINUS):
        return max(low, 0.0), min(high, 1.0)
    known = OPTIMIZERS[optimizer].hyperparameters[name]
    useful = max(USEFUL.get(name, known.high), dimension.high)
    return max(low, known.low), min(high, known.high, useful)
