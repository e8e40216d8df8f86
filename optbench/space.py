"""What may vary: which hyperparameters each optimizer takes, and the ranges and choices that a search draws from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optbench.errors import DefinitionError, nearest

ONE_MINUS = "one_minus_"  # one_minus_rho = 0.05 means rho = 0.95: decay rates are searched on the scale that matters


@dataclass(frozen=True)
class Hyperparameter:
    """Keras' default of a hyperparameter and the interval that it must lie in: open, but for `low` where `closed`.

    A `flag` is true or false, here 1.0 or 0.0.
    """

    default: float
    low: float = 0.0
    high: float = math.inf
    closed: bool = False
    flag: bool = False

    @property
    def decay(self) -> bool:
        """Whether it weighs the past of an average, and may be given as one minus itself."""
        return self.high == 1.0 and not self.flag


RATE, EPSILON = Hyperparameter(0.001), Hyperparameter(1e-7)
BETA_1, BETA_2 = Hyperparameter(0.9, high=1.0, closed=True), Hyperparameter(0.999, high=1.0, closed=True)
ADAM = {"learning_rate": RATE, "beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}

OPTIMIZERS: Mapping[str, Mapping[str, Hyperparameter]] = {
    "adadelta": {
        "learning_rate": RATE,
        "rho": Hyperparameter(0.95, high=1.0, closed=True),
        "epsilon": EPSILON,
    },
    "adagrad": {
        "learning_rate": RATE,
        "initial_accumulator_value": Hyperparameter(0.1, closed=True),
        "epsilon": EPSILON,
    },
    "adam": ADAM,
    "adamw": ADAM | {"weight_decay": Hyperparameter(0.004, closed=True)},
    "nadam": ADAM,
    "rmsprop": {
        "learning_rate": RATE,
        "rho": Hyperparameter(0.9, high=1.0, closed=True),
        "epsilon": EPSILON,
    },
    "sgd": {
        "learning_rate": Hyperparameter(0.01),
        "momentum": Hyperparameter(0.0, high=1.0, closed=True),
        "nesterov": Hyperparameter(0.0, high=1.0, closed=True, flag=True),
    },
}


KERAS_CLASSES: Mapping[str, str] = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}  # in keras.optimizers


def keras_arguments(optimizer: str, hparams: Mapping[str, float]) -> dict[str, float | bool]:
    """The hyperparameters as the class in keras.optimizers takes them."""
    known = OPTIMIZERS[optimizer]
    return {name: bool(value) if known[name].flag else value for name, value in hparams.items()}


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
        """Where the value lies on the search scale, 0 to 1."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

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
    decays = [key for key, h in known.items() if h.decay]
    if base not in (decays if name.startswith(ONE_MINUS) else known):
        names = [*known, *(ONE_MINUS + key for key in decays)]
        raise DefinitionError(f"{where}: {optimizer} has no hyperparameter {name!r}; {nearest(name, names)}")
    return known[base]


def check_value(optimizer: str, name: str, value: float, where: str) -> None:
    """Refuse a value that the hyperparameter cannot take in single precision, in which training computes."""
    known = check_name(optimizer, name, where)
    single = _single(1 - value if name.startswith(ONE_MINUS) else value)
    if known.flag:
        fits = value in (0, 1)
    else:
        fits = known.low < single < known.high or (known.closed and single == known.low)
        fits = fits and not isinstance(value, bool)
    if not fits:
        raise DefinitionError(f"{where}: {name} = {value!r}; expected {_expected(name, known)} (in single precision)")


def _single(value: float) -> float:
    """The value in single precision; infinite where that has no room for it."""
    try:
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    except OverflowError:  # a whole number that no float has room for
        return math.inf


def _expected(name: str, known: Hyperparameter) -> str:
    if known.flag:
        return "true or false"
    if known.decay:
        return "above 0, at most 1" if name.startswith(ONE_MINUS) else "0 to 1, 1 excluded"
    return "a finite number of at least 0" if known.closed else "a finite number above 0"


def check_dimension(optimizer: str, name: str, dimension: Dimension, where: str) -> None:
    """Refuse a range or a choice that the hyperparameter cannot take."""
    ends = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    for value in ends:
        check_value(optimizer, name, value, where)
