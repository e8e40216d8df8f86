"""The ranges and choices that a search draws hyperparameters from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS, Kind


@dataclass(frozen=True)
class Float:
    """An interval [low, high], drawn uniformly, or uniformly in its logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, unit: float) -> float:
        """The value at `unit` in [0, 1] of the search scale."""
        if self.log:
            value = math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + unit * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def unit(self, value: float) -> float:
        """The position of the value on the search scale, from 0 to 1."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values, all equally likely. A single value is fixed."""

    values: tuple[float, ...]

    def at(self, unit: float) -> float:
        """The value at `unit` in [0, 1], which is divided into equal parts."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def __contains__(self, value: float) -> bool:
        return value in self.values


Dimension = Float | Choice


def point(space: Mapping[str, Dimension], unit: Sequence[float]) -> dict[str, float]:
    """The parameters at a point of the unit cube, one coordinate per name in the order of `space`."""
    return {name: dimension.at(u) for (name, dimension), u in zip(space.items(), unit, strict=True)}


def check_range(optimizer: str, name: str, given: Float, where: str) -> None:
    """Raise DefinitionError for a range that the hyperparameter cannot take."""
    known = OPTIMIZERS[optimizer]
    one = known.find(name, where)
    if one.kind is not Kind.FLOAT:
        usual = (16, 32) if one.kind is Kind.COUNT else (0, 1)
        example = json.dumps([one.written(value) for value in usual])
        raise DefinitionError(
            f"{where}: {name} = {{ low = {given.low:g}, high = {given.high:g} }}; "
            f"expected {one.expected()}, or a list of them: try {name} = {example}"
        )
    for value in (given.low, given.high):
        known.check(name, value, where)


def grid_size(space: Mapping[str, Dimension], points: int) -> int:
    """The number of points of a full grid."""
    return math.prod(len(d.values) if isinstance(d, Choice) else points for d in space.values())
