"""The sweep file as pydantic models: every key with its type, bounds, default and description.

They exist only while a file or a dict is read, and are converted to the frozen records of sweep.py at once. parse.py
checks how the keys fit together.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticKnownError

from optbench.definition.data_models import DataTable, DataValue, FileTable
from optbench.definition.network import ACTIVATIONS, MlpModel
from optbench.definition.strategies import (
    Count,
    CountFrom0,
    CountFrom2,
    Fraction,
    GridTable,
    HyperbandTable,
    MedianTable,
    NoPrunerTable,
    PrunerTable,
    QmcTable,
    RandomTable,
    SamplerTable,
    SuccessiveHalvingTable,
    Table,
    TpeTable,
)
from optbench.optimizers import OPTIMIZERS

HUGE = 10**300  # a larger whole number does not fit into a float

if TYPE_CHECKING:  # a type checker cannot read names from a tuple
    Activation = str
else:
    Activation = Literal[ACTIVATIONS]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Value = bool | int | float | str


def _no_longer_than_a_float(value: Any) -> Any:
    return math.inf if type(value) is int and abs(value) > HUGE else value


def _known_optimizer(name: str) -> str:
    """The name, if an optimizer has it. The list is read now, because a program may have added its own optimizer."""
    if name not in OPTIMIZERS:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, OPTIMIZERS))})
    return name


OptimizerName = Annotated[
    str, AfterValidator(_known_optimizer), WithJsonSchema({"enum": list(OPTIMIZERS), "type": "string"})
]


class MlpTable(Table):
    """A network of dense layers."""

    hidden: list[Annotated[int, Field(ge=1)]] = Field(default=list(MlpModel.hidden))
    """The units of each hidden layer."""
    activation: Activation = "relu"
    """The activation of the hidden layers."""
    dropout: float = Field(default=MlpModel.dropout, ge=0, le=0.9)
    """The fraction of the units of each hidden layer that a training step leaves out; in [space], it is searched."""


class BuiltTable(Table):
    """A network that a Python function makes: any Keras model from one input to logits."""

    build: str
    """The function: models.py:cnn in a file, relative to the sweep file's folder, or package.module:cnn."""
    arguments: dict[str, Any] = Field(default={})
    """What the function is called with, beside the shape of an input and the number of classes."""


def _network(given: Any) -> str:
    """The kind of [model]: a function, or dense layers."""
    return "built" if isinstance(given, Mapping) and "build" in given else "mlp"


ModelValue = Annotated[Annotated[MlpTable, Tag("mlp")] | Annotated[BuiltTable, Tag("built")], Discriminator(_network)]


class RangeTable(Table):
    """A range, drawn from uniformly."""

    low: Annotated[float, BeforeValidator(_no_longer_than_a_float)]
    """The lower end."""
    high: Annotated[float, BeforeValidator(_no_longer_than_a_float)]
    """The upper end."""
    log: bool = False
    """Whether to draw uniformly in the logarithm."""


class TrialTable(Table):
    """A fixed trial: it runs before the search and is never pruned. Every further key is a hyperparameter."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value]

    optimizer: OptimizerName | None = None
    """The optimizer; that of the sweep unless given."""
    label: str | None = None
    """What the setting is called in tables and figures."""
    seeds: list[Seed] | None = Field(None, min_length=1)
    """One trial for each of these seeds, which decide the initial weights, the batch order and, with resplit, the
    validation examples; else one trial with a seed of its own."""
    published_test_accuracy: Fraction | None = None
    """A published test accuracy, 0 to 1, shown next to the measured one; only if [data] validation is 0."""
    source_trial: CountFrom0 | None = None
    """In a confirmation, written by `optbench confirm`: the number of the search's trial that is trained again."""


class FinalsTable(Table):
    """The best configurations of a search are trained again on fresh seeds, with validation examples, to choose one."""

    candidates: CountFrom2 | None = None
    """How many configurations enter, the known settings among them; unless given, as many as fit, at most 5."""
    budget: Fraction | None = None
    """How many trainings of all epochs there are, as a fraction of the search's trials; 0.16 unless given, or 10
    trainings if that is more, but at most 0.25."""
    resplit: bool = True
    """Whether every fresh seed draws validation examples of its own; else on those of the search."""


def _switch(given: Any) -> str:
    """The form of `finals`: a table, or true or false."""
    return "switch" if isinstance(given, bool) else "table"


FinalsValue = Annotated[
    Annotated[FinalsTable, Tag("table")] | Annotated[bool, Tag("switch")],
    Discriminator(_switch),
]


class StartTable(Table):
    """The study that a search starts from, in the same database. Without `top`, the sampler knows its trials."""

    study: str
    """The name of the study."""
    top: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many of its best settings run again first, as fixed trials on fresh seeds."""


def _shape(given: Any) -> str:
    """The form of an entry of [space]."""
    return "range" if isinstance(given, Mapping) else "choices" if isinstance(given, list) else "fixed"


DimensionTable = Annotated[
    Annotated[RangeTable, Tag("range")] | Annotated[list[Value], Tag("choices")] | Annotated[Value, Tag("fixed")],
    Discriminator(_shape),
]


class OnlyData(Table):
    """The table [data] by itself."""

    data: DataValue


class SweepTable(Table):
    """A sweep: what is searched, on which data, with which model and budget."""

    name: str
    """The name of the sweep, and of its study unless --study gives another."""
    optimizer: OptimizerName | None = None
    """The optimizer whose hyperparameters are searched."""
    trials: Count | None = None
    """The total number of trials, fixed ones included; none in a list of fixed trials."""
    epochs: Count
    """For how many epochs a trial is trained unless it is pruned."""
    batch: Count = 128
    """The batch size."""
    seed: Seed = 0
    """The seed of the split, the draws, the initial weights and the batch order."""
    lanes: Annotated[int, Field(ge=1, le=256)] | None = None
    """How many trials are trained side by side; one per core, at most 16, unless given."""
    known: bool | None = None
    """Whether the optimizer's defaults and its paper's setting, where they lie in the [space], are the first trials;
    true unless given. They count as trials and are never pruned."""
    data: DataValue
    """The data set, and how much of it is held back for validation."""
    model: ModelValue = MlpTable()
    """The network."""
    space: dict[str, DimensionTable] = Field(default={})
    """What is searched: the optimizer's hyperparameters, each with a range, a list of choices, or a fixed value."""
    sampler: SamplerTable | None = None
    """How the next trial's hyperparameters are chosen; tpe unless given."""
    pruner: PrunerTable | None = None
    """How trials are ended early; successive_halving unless given."""
    finals: FinalsValue | None = None
    """The finals after a search; `finals = false` leaves them out."""
    start: StartTable | None = None
    """What the search starts from; nothing unless given."""
    trial: list[TrialTable] = Field(default=[])
    """Fixed trials, which run before the search."""


KINDS: Mapping[str, type[Table]] = {
    "name": DataTable,
    "file": FileTable,
    "mlp": MlpTable,
    "built": BuiltTable,
    "start": StartTable,
    "tpe": TpeTable,
    "random": RandomTable,
    "qmc": QmcTable,
    "grid": GridTable,
    "median": MedianTable,
    "hyperband": HyperbandTable,
    "successive_halving": SuccessiveHalvingTable,
    "none": NoPrunerTable,
    "finals": FinalsTable,
}
"""The models of the tables [finals] and [start], and of each kind of data, model, sampler and pruner, by name."""
