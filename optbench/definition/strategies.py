"""The samplers and pruners of a sweep file as pydantic models (see models.py)."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from optbench.definition.sweep import (
    PRUNERS,
    SAMPLERS,
    Grid,
    Hyperband,
    Median,
    Pruner,
    Qmc,
    Sampler,
    SuccessiveHalving,
    Tpe,
)

Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountFrom0 = Annotated[int, Field(ge=0, le=1_000_000)]
CountFrom2 = Annotated[int, Field(ge=2, le=1_000_000)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """A table of a sweep file: it refuses keys that it does not know, and converts no type into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class TpeTable(Table):
    """Optuna's tree-structured Parzen estimator."""

    name: Literal["tpe"] = "tpe"
    """The sampler."""
    multivariate: bool = Tpe.multivariate
    """Whether hyperparameters are drawn together, so that their interactions count."""
    n_startup_trials: CountFrom0 = Tpe.n_startup_trials
    """How many random trials come first."""
    n_ei_candidates: Count = Tpe.n_ei_candidates
    """How many candidates are drawn, of which the most promising one is trained."""
    constant_liar: bool = Tpe.constant_liar
    """Whether new trials keep away from the hyperparameters of running ones."""


class RandomTable(Table):
    """Independent random points."""

    name: Literal["random"]
    """The sampler."""


class QmcTable(Table):
    """The points of a quasi-random sequence."""

    name: Literal["qmc"]
    """The sampler."""
    qmc_type: Literal["sobol", "halton"] = "sobol"
    """The sequence."""
    scramble: bool = Qmc.scramble
    """Whether the sequence is scrambled, by the sweep's seed."""


class GridTable(Table):
    """A full grid, in random order."""

    name: Literal["grid"]
    """The sampler."""
    points: CountFrom2 = Grid.points
    """How many values of each range the grid has."""


class MedianTable(Table):
    """Prunes a trial that is worse than the median of the complete trials after the same epoch."""

    name: Literal["median"]
    """The pruner."""
    n_startup_trials: CountFrom0 = Median.n_startup_trials
    """How many trials must be complete before one is pruned."""
    n_warmup_steps: CountFrom0 | None = None
    """For how many epochs no trial is pruned; a fifth of the epochs unless given."""
    interval_steps: Count = Median.interval_steps
    """How many epochs apart a trial may be pruned."""
    n_min_trials: Count = Median.n_min_trials
    """How many complete trials must have a value at the epoch."""
    audit: Fraction = Median.audit
    """The fraction of the trials to prune that run on anyway, to measure what pruning costs."""


class HyperbandTable(Table):
    """Optuna's Hyperband."""

    name: Literal["hyperband"]
    """The pruner."""
    min_resource: Count = Hyperband.min_resource
    """The earliest epoch after which a trial may be pruned."""
    reduction_factor: CountFrom2 = Hyperband.reduction_factor
    """One in how many trials goes on."""
    audit: Fraction = Hyperband.audit
    """The fraction of the trials to prune that run on anyway, to measure what pruning costs."""


class SuccessiveHalvingTable(Table):
    """Asynchronous successive halving: prunes a trial that is not among the best of the last ones that came as far."""

    name: Literal["successive_halving"] = "successive_halving"
    """The pruner."""
    min_resource: Count | None = None
    """The earliest epoch after which a trial may be pruned; a sixteenth of the epochs unless given."""
    reduction_factor: CountFrom2 = SuccessiveHalving.reduction_factor
    """One in how many trials goes on, and after how many times the epochs the next decision comes."""
    min_early_stopping_rate: CountFrom0 = SuccessiveHalving.min_early_stopping_rate
    """The first decision waits for the reduction factor to this power times as many epochs."""
    window: CountFrom0 = 8
    """With how many of the last trials that came as far a trial is compared; 0: with all of them, as Optuna does."""
    audit: Fraction = SuccessiveHalving.audit
    """The fraction of the trials to prune that run on anyway, to measure what pruning costs."""


class NoPrunerTable(Table):
    """Every trial runs to its end."""

    name: Literal["none"]
    """The pruner."""


def _named(default: str) -> Discriminator:
    """Tells the kinds of a table apart by its `name`, which the default kind may leave out."""

    def name(table: Any) -> Any:
        return table.get("name", default) if isinstance(table, Mapping) else getattr(table, "name", default)

    return Discriminator(name)


SamplerTable = Annotated[
    Annotated[TpeTable, Tag("tpe")]
    | Annotated[RandomTable, Tag("random")]
    | Annotated[QmcTable, Tag("qmc")]
    | Annotated[GridTable, Tag("grid")],
    _named("tpe"),
]
PrunerTable = Annotated[
    Annotated[MedianTable, Tag("median")]
    | Annotated[HyperbandTable, Tag("hyperband")]
    | Annotated[SuccessiveHalvingTable, Tag("successive_halving")]
    | Annotated[NoPrunerTable, Tag("none")],
    _named("successive_halving"),
]


def sampler_of(table: Table | None) -> Sampler:
    """The sampler that a [sampler] table describes."""
    values = (table or TpeTable()).model_dump()
    return SAMPLERS[values.pop("name")](**values)


def left_out(table: Table | None) -> frozenset[str]:
    """What a file leaves out of its [pruner] table: "pruner" if that is missing, or else its keys, "pruner.window"."""
    if table is None:
        return frozenset({"pruner"})
    return frozenset(f"pruner.{key}" for key in type(table).model_fields.keys() - table.model_fields_set)


def pruner_of(table: Table | None, epochs: int) -> Pruner:
    """The pruner that a [pruner] table describes, for trials of so many epochs."""
    values = (table or SuccessiveHalvingTable()).model_dump()
    if values.get("n_warmup_steps", 0) is None:
        values["n_warmup_steps"] = math.ceil(epochs / 5)
    if values.get("min_resource", 0) is None:
        values["min_resource"] = max(1, round(epochs / 16))
    return PRUNERS[values.pop("name")](**values)
