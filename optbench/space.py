"""What may vary: which hyperparameters each optimizer takes, and the ranges and choices that a search draws from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optbench.errors import DefinitionError, nearest

ONE_MINUS = "one_minus_"  # one_minus_rho = 0.05 means rho = 0.95: decay rates are searched on the scale that matters


@dataclass(frozen=True)
class Hyperparameter:
    """Keras' default of a hyperparameter and the open interval that it must lie in."""

    default: float
    low: float = 0.0
    high: float = math.inf


OPTIMIZERS: Mapping[str, Mapping[str, Hyperparameter]] = {
    "adadelta": {
        "learning_rate": Hyperparameter(0.001),
        "rho": Hyperparameter(0.95, high=1.0),
        "epsilon": Hyperparameter(1e-7),
    },
    "adam": {
        "learning_rate": Hyperparameter(0.001),
        "beta_1": Hyperparameter(0.9, high=1.0),
        "beta_2": Hyperparameter(0.999, high=1.0),
        "epsilon": Hyperparameter(1e-7),
    },
}


KERAS_CLASSES: Mapping[str, str] = {"adadelta": "Adadelta", "adam": "Adam"}  # in keras.optimizers


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

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values, equally likely; a single value is fixed."""

    values: tuple[float, ...]

    def at(self, unit: float) -> float:
        """The value at `unit` in [0, 1], cut into equal parts."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def __contains__(self, value: float) -> bool:
        return value in self.values


Dimension = Float | Choice


def point(space: Mapping[str, Dimension], unit: Sequence[float]) -> dict[str, float]:
    """The parameters at a point of the unit cube, one coordinate per name in the order of `space`."""
    return {name: dimension.at(u) for (name, dimension), u in zip(space.items(), unit, strict=True)}


def hyperparameters(optimizer: str, params: Mapping[str, float]) -> dict[str, float]:
    """Every hyperparameter of the optimizer by Keras' name: `params`, with `one_minus_` undone, over the defaults."""
    values = {name: known.default for name, known in OPTIMIZERS[optimizer].items()}
    for name, value in params.items():
        if name.startswith(ONE_MINUS):
            values[name.removeprefix(ONE_MINUS)] = 1 - value
        else:
            values[name] = value
    return values


def check_name(optimizer: str, name: str, where: str) -> Hyperparameter:
    """The hyperparameter behind `name`; a DefinitionError if the optimizer has none of it."""
    known = OPTIMIZERS[optimizer]
    base = name.removeprefix(ONE_MINUS)
    decays = [key for key, h in known.items() if h.high == 1.0]
    if base not in (decays if name.startswith(ONE_MINUS) else known):
        names = [*known, *(ONE_MINUS + key for key in decays)]
        raise DefinitionError(f"{where}: {optimizer} has no hyperparameter {name!r}; {nearest(name, names)}")
    return known[base]


def check_value(optimizer: str, name: str, value: float, where: str) -> None:
    """Refuse a value that the hyperparameter cannot take in single precision, in which training computes.

    one_minus_x = 1 is allowed: the average without memory (beta_1 = 0) is a valid rule, and the default search space
    of Adam ends there.
    """
    known = check_name(optimizer, name, where)
    inverse = name.startswith(ONE_MINUS)
    if inverse and value == 1.0:
        return
    if not known.low < float(np.float32(1 - value if inverse else value)) < known.high:
        expected = "between 0 and 1, both excluded" if known.high == 1.0 else "a finite number above 0"
        raise DefinitionError(f"{where}: {name} = {value!r}; expected {expected} (in single precision)")


def check_dimension(optimizer: str, name: str, dimension: Dimension, where: str) -> None:
    """Refuse a range or a choice that the hyperparameter cannot take."""
    ends = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    for value in ends:
        check_value(optimizer, name, value, where)
