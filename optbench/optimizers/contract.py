"""What an optimizer is here: its hyperparameters, its update rule, and its names in other frameworks.

Nothing here or in an optimizer's file imports TensorFlow. A rule takes the array functions that it needs from `Ops`.
"""

import enum
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from optbench.errors import DefinitionError, nearest

Tensor = Any
State = Mapping[str, Tensor]
Tensors = Mapping[str, Tensor]
Hparams = Mapping[str, float]
Written = float | bool | str
Argument = Written | Sequence[float]
Arguments = Mapping[str, "Argument | Translation | Sequence[Translation]"]

MAX_COUNT = 1_000_000
ONE_MINUS = "one_minus_"  # one_minus_rho = 0.05 means rho = 0.95: a decay rate matters by its distance from 1


class Ops(Protocol):
    """The array functions that a rule may use, in addition to the arithmetic of the arrays themselves."""

    def sqrt(self, x: Tensor) -> Tensor: ...
    def abs(self, x: Tensor) -> Tensor: ...
    def sign(self, x: Tensor) -> Tensor: ...
    def minimum(self, x: Tensor, y: Tensor) -> Tensor: ...
    def maximum(self, x: Tensor, y: Tensor) -> Tensor: ...
    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor: ...

    def norm(self, x: Tensor) -> Tensor:
        """The Euclidean norm of one weight tensor, for each lane separately, so that no sum runs over lanes."""

    def lookup(self, values: Sequence[float], index: Tensor) -> Tensor:
        """`values[index]` for a tensor of whole numbers, in the tensor's own type."""


class Kind(enum.Enum):
    """Which values a hyperparameter takes."""

    FLOAT = "a number"
    FLAG = "true or false"
    NAME = "one of its names"
    COUNT = "a whole number from 1 to 1,000,000"


@dataclass(frozen=True)
class Hyperparameter:
    """Keras' default of a hyperparameter, and the open interval that it must lie in.

    `closed` includes `low`, and `closed_high` includes `high`. A flag is 1.0 or 0.0. One that has `names` is the
    position of a name. An `optional` hyperparameter was added when studies without it existed: a trial's row has it
    only if the definition gives it; otherwise the default holds. `argument` says whether Keras' class takes it.
    """

    default: float
    low: float = 0.0
    high: float = math.inf
    closed: bool = False
    closed_high: bool = False
    kind: Kind = Kind.FLOAT
    names: tuple[str, ...] = ()
    optional: bool = False
    argument: bool = True

    @property
    def flag(self) -> bool:
        """Whether it is true or false."""
        return self.kind is Kind.FLAG

    @property
    def decay(self) -> bool:
        """Whether it is a decay rate, which may be given as one minus itself."""
        return self.high == 1.0 and not self.closed_high and self.kind is Kind.FLOAT

    def number(self, value: float | str) -> float:
        """The value as a trial's row has it. Raises ValueError for a name that it does not have."""
        return float(self.names.index(value) if isinstance(value, str) else value)

    def written(self, value: float) -> Written:
        """The value as a sweep file has it."""
        if self.names:
            return self.names[int(value)]
        return int(value) if self.kind is Kind.COUNT else bool(value) if self.flag else value

    def accepts(self, value: float | str, one_minus: bool = False) -> bool:
        """Whether the value, or one minus it, is allowed in single precision, in which training computes."""
        if self.names or isinstance(value, str):
            return value in self.names
        if self.flag:
            return value in (0, 1)
        if self.kind is Kind.COUNT:
            return not isinstance(value, bool) and 1 <= value <= MAX_COUNT and value == int(value)
        single = _single(1 - value if one_minus else value)
        inside = self.low < single < self.high or (self.closed and single == self.low)
        inside = inside or (self.closed_high and single == self.high)
        return inside and not isinstance(value, bool)

    def expected(self, one_minus: bool = False) -> str:
        """The allowed values in words."""
        if self.names:
            return f"one of {', '.join(self.names)}"
        if self.kind in (Kind.FLAG, Kind.COUNT):
            return str(self.kind.value)
        if self.decay:
            if one_minus:
                return "above 0, at most 1" if self.closed else "above 0, below 1"
            return "0 to 1, 1 excluded" if self.closed else "above 0, below 1"
        if self.closed and self.closed_high:
            return f"{self.low:g} to {self.high:g}"
        if self.closed_high:
            return f"a finite number of at most {self.high:g}"
        return f"a finite number of at least {self.low:g}" if self.closed else f"a finite number above {self.low:g}"


FLAG = Hyperparameter(0.0, closed=True, high=1.0, kind=Kind.FLAG)
OPTIONAL_FLAG = replace(FLAG, optional=True)


@dataclass(frozen=True)
class Rule:
    """How an optimizer moves a weight tensor.

    `state` names the tensors that it keeps for each weight tensor, of the same shape, all zero at first.
    `update(ops, weight, gradient, state, hparams, step)`, step from 1, returns what to subtract from the weight, and
    the new state. `effective_lr(ops, weight, state, hparams, step)` is the effective learning rate after a step: what
    the gradient, or its running mean, is multiplied by; it broadcasts to the weight's shape.

    `optional` maps the name of a tensor to a hyperparameter. The tensor is kept only if trials set that hyperparameter,
    so that a variant that is not used costs nothing. `update` sees from `state` whether the tensor is there.

    `hparams` has every hyperparameter by Keras' name, and `one_minus_NAME` for each decay rate: 1 - NAME computed in
    double precision and rounded afterwards. All arguments are arrays (or plain numbers) and broadcast: scalars in a
    test, [lanes, 1, 1] in the trainer.
    """

    state: tuple[str, ...]
    update: Callable[[Ops, Tensor, Tensor, State, Tensors, Tensor], tuple[Tensor, State]]
    effective_lr: Callable[[Ops, Tensor, State, Tensors, Tensor], Tensor]
    optional: Mapping[str, str] = field(default_factory=dict)

    def kept(self, given: Collection[str] | None = None) -> tuple[str, ...]:
        """The names of the state's tensors if trials set only the `given` hyperparameters (None: any of them)."""
        more = (name for name, hparam in self.optional.items() if given is None or hparam in given)
        return (*self.state, *more)


@dataclass(frozen=True)
class Translation:
    """A class or function; some arguments may be translations, too. `difference` is None if its rule is Keras'."""

    name: str
    arguments: Arguments
    difference: str | None = None


Translate = Callable[[Hparams, int], Translation | None]
"""The translation of hyperparameters, in a training of so many steps; None where the framework lacks that variant."""


@dataclass(frozen=True, kw_only=True)
class Translations:
    """The class in `keras.optimizers`, and the translations to `torch.optim` and `optax`; None where there is none."""

    keras: str | None
    torch: Translate | None
    optax: Translate | None


@dataclass(frozen=True, kw_only=True, eq=False)  # hashable: an optimizer equals only itself
class Optimizer:
    """Everything about one optimizer. `paper` is the setting of its paper, if Keras' defaults differ from it.

    A rule that `divides_by_rate` cannot start from a learning rate of 0, so the optimizer has no warmup.
    """

    name: str
    hyperparameters: Mapping[str, Hyperparameter]
    rule: Rule
    translations: Translations
    colour: str
    paper: Hparams | None = None
    divides_by_rate: bool = False

    @property
    def defaults(self) -> dict[str, float]:
        """Keras' default of every hyperparameter."""
        return {name: known.default for name, known in self.hyperparameters.items()}

    def resolve(self, params: Hparams) -> dict[str, float]:
        """The hyperparameters by Keras' names: those of `params`, with `one_minus_` undone, and the other defaults.

        An optional hyperparameter is left out unless it is given.
        """
        values = {name: known.default for name, known in self.hyperparameters.items() if not known.optional}
        for name, value in params.items():
            if name.startswith(ONE_MINUS):
                values[name.removeprefix(ONE_MINUS)] = 1 - value
            else:
                values[name] = value
        return values

    def complete(self, hparams: Hparams) -> dict[str, float]:
        """The hyperparameters of a trial's row, with the defaults of the optional ones that the row lacks."""
        return self.defaults | dict(hparams)

    def written(self, hparams: Hparams) -> dict[str, Written]:
        """The hyperparameters as a sweep file has them: flags as true or false, and names."""
        return {name: self.hyperparameters[name].written(value) for name, value in hparams.items()}

    def keras_arguments(self, hparams: Hparams) -> dict[str, Written]:
        """The hyperparameters as the class in `keras.optimizers` takes them, without optional ones that are 0."""
        known = self.hyperparameters
        used = {name: value for name, value in hparams.items() if value or not known[name].optional}
        return self.written({name: value for name, value in used.items() if known[name].argument})

    def find(self, name: str, where: str) -> Hyperparameter:
        """The hyperparameter behind `name`, which may begin with `one_minus_`. Raises DefinitionError."""
        decays = [key for key, known in self.hyperparameters.items() if known.decay]
        base = name.removeprefix(ONE_MINUS)
        if base not in (decays if name.startswith(ONE_MINUS) else self.hyperparameters):
            names = [*self.hyperparameters, *(ONE_MINUS + key for key in decays)]
            raise DefinitionError(f"{where}: {self.name} has no hyperparameter {name!r}; {nearest(name, names)}")
        return self.hyperparameters[base]

    def check(self, name: str, value: float | str, where: str) -> None:
        """Refuse a value that the hyperparameter cannot take in single precision. Raises DefinitionError."""
        known, one_minus = self.find(name, where), name.startswith(ONE_MINUS)
        if not known.accepts(value, one_minus):
            shown = str(value).lower() if isinstance(value, bool) else repr(value)
            within = isinstance(value, float) and known.low < (1 - value if one_minus else value) < known.high
            precision = " (in single precision)" if within and known.kind is Kind.FLOAT else ""
            raise DefinitionError(f"{where}: {name} = {shown}; expected {known.expected(one_minus)}{precision}")


def _single(value: float) -> float:
    """The value in single precision; infinite if it is too large for that."""
    try:
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    except OverflowError:  # a whole number that is too large for any float
        return math.inf
