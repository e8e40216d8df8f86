"""The records of a sweep: what is searched, on which data, with which model and budget. parse.py makes them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, ClassVar

from optbench.definition.data import DataSource
from optbench.definition.network import BuiltModel, Model
from optbench.definition.plain import (
    flat,
    grouped,
    identity,
    plain_data,
    plain_finals,
    plain_space,
    plain_trial,
)
from optbench.definition.space import Dimension
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import BATCH


@dataclass(frozen=True)
class Tpe:
    """Optuna's tree-structured Parzen estimator."""

    name: ClassVar[str] = "tpe"
    multivariate: bool = True
    n_startup_trials: int = 10
    n_ei_candidates: int = 24
    constant_liar: bool = True


@dataclass(frozen=True)
class RandomSampler:
    """Independent random points."""

    name: ClassVar[str] = "random"


@dataclass(frozen=True)
class Qmc:
    """Points of a quasi-random sequence, sobol or halton."""

    name: ClassVar[str] = "qmc"
    qmc_type: str = "sobol"
    scramble: bool = True


@dataclass(frozen=True)
class Grid:
    """A full grid with `points` values of every range."""

    name: ClassVar[str] = "grid"
    points: int = 5


Sampler = Tpe | RandomSampler | Qmc | Grid


@dataclass(frozen=True)
class Median:
    """Prunes a trial that is worse than the median of the complete trials after the same epoch.

    `audit` is the fraction of the trials to prune that run on anyway, to measure what pruning costs.
    """

    name: ClassVar[str] = "median"
    n_startup_trials: int = 10
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 5
    audit: float = 0.0


@dataclass(frozen=True)
class Hyperband:
    """Optuna's Hyperband; `audit` as in Median."""

    name: ClassVar[str] = "hyperband"
    min_resource: int = 1
    reduction_factor: int = 3
    audit: float = 0.0


@dataclass(frozen=True)
class SuccessiveHalving:
    """Asynchronous successive halving. A trial is compared with the last `window` trials that came as far.

    With a window of 0 it is compared with all of them, by Optuna's pruner; `audit` as in Median.
    """

    name: ClassVar[str] = "successive_halving"
    min_resource: int = 1
    reduction_factor: int = 2
    min_early_stopping_rate: int = 0
    window: int = 0
    audit: float = 0.0


@dataclass(frozen=True)
class NoPruner:
    """Every trial runs to its end."""

    name: ClassVar[str] = "none"
    audit: ClassVar[float] = 0.0


Pruner = Median | Hyperband | SuccessiveHalving | NoPruner

SAMPLERS: Mapping[str, type[Sampler]] = {kind.name: kind for kind in (Tpe, RandomSampler, Qmc, Grid)}
PRUNERS: Mapping[str, type[Pruner]] = {kind.name: kind for kind in (Median, Hyperband, SuccessiveHalving, NoPruner)}


@dataclass(frozen=True)
class FixedTrial:
    """A trial with given parameters, which runs before the search and is never pruned.

    In a confirmation, `source_trial` is the number of the search's trial that is trained again.
    """

    optimizer: str
    params: Mapping[str, float]
    seed: int | None = None
    label: str | None = None
    published_test_accuracy: float | None = None
    source_trial: int | None = None


@dataclass(frozen=True)
class Finals:
    """Finals after a search: its best configurations are trained again on fresh seeds, to choose one.

    `candidates` is how many enter (None: as many as the budget allows, at most 5). `budget` is a fraction of the
    search's trials: so many trainings of all epochs the finals have (None: see rounds.trainings). `resplit` is whether
    every fresh seed draws validation examples of its own, so that the choice does not rest on those of the search.
    """

    candidates: int | None = None
    budget: float | None = None
    resplit: bool = True

    @property
    def sized(self) -> bool:
        """Whether the file or the command gives their size. If such finals do not fit, that is an error."""
        return self.candidates is not None or self.budget is not None


@dataclass(frozen=True)
class Start:
    """The study in the same database that a search starts from.

    `top` is how many of its best settings run again first, as fixed trials. None: the sampler knows its trials.
    """

    study: str
    top: int | None = None


@dataclass(frozen=True)
class Sweep:
    """One study's definition. A list of fixed trials has no `optimizer` and no `space`.

    `fixed` begins with the optimizer's known settings unless `known` is false; None: the file does not say, so a study
    that exists already keeps what it has.
    """

    name: str
    trials: int
    epochs: int
    batch: int
    seed: int
    data: DataSource
    model: Model
    sampler: Sampler
    pruner: Pruner
    optimizer: str | None = None
    space: Mapping[str, Dimension] = field(default_factory=dict)
    fixed: tuple[FixedTrial, ...] = ()
    lanes: int | None = None
    start: Start | None = None
    left_out: frozenset[str] = field(default=frozenset(), compare=False)
    """Tables and dotted keys that the file leaves to their defaults, as far as earlier versions had other defaults."""
    known: bool | None = field(default=None, compare=False)
    finals: Finals | None = None

    @property
    def searches(self) -> bool:
        """Whether it is a search: it selects by validation examples, and never evaluates the test examples."""
        return bool(self.space)

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Every optimizer that a trial of this sweep may use, in order of first use."""
        named = [self.optimizer] if self.optimizer else []
        return tuple(dict.fromkeys([*named, *(trial.optimizer for trial in self.fixed)]))

    def hparams(self, optimizer: str, params: Mapping[str, float]) -> dict[str, float]:
        """The hyperparameters of a trial with these parameters, without a batch size that is the sweep's."""
        found = OPTIMIZERS[optimizer].resolve(params)
        return {name: value for name, value in found.items() if (name, value) != (BATCH, self.batch)}

    def definition(self) -> dict[str, Any]:
        """The definition as plain data, including defaults. `definition.parse` makes an equal sweep from it."""
        plain: dict[str, Any] = {"name": self.name}
        if self.searches:
            plain |= {"optimizer": self.optimizer, "trials": self.trials}
        plain |= {"epochs": self.epochs, "batch": self.batch, "seed": self.seed}
        if self.lanes is not None:
            plain["lanes"] = self.lanes
        if self.searches:
            plain["known"] = self.known is not False
        plain["data"] = plain_data(self.data)
        plain["model"] = self.model.plain()
        if self.searches:
            plain["space"] = plain_space(self.optimizer, self.space)
            plain["sampler"] = {"name": self.sampler.name, **asdict(self.sampler)}
            plain["pruner"] = {"name": self.pruner.name, **asdict(self.pruner)}
            plain["finals"] = plain_finals(self.finals)
        if self.searches and self.start is not None:
            plain["start"] = {key: value for key, value in asdict(self.start).items() if value is not None}
        if self.fixed:
            plain["trial"] = grouped([plain_trial(trial) for trial in self.fixed])
        return plain

    def kept(self) -> dict[str, Any]:
        """The definition as its study keeps it: with the source of the model's function."""
        plain = self.definition()
        if isinstance(self.model, BuiltModel):
            plain["model"]["source"] = self.model.source
        return plain

    def fingerprint(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Everything that changes what a trial means, under dotted keys. `digests` are those of the data and the split.

        The numbers of trials and lanes and the finals are left out, because they change no trial. `known` is left out,
        because the known settings are among the fixed trials.
        """
        plain = self.definition() | {"data": self.data.identity, "model": self.model.identity()}
        for free in ("name", "trials", "lanes", "known", "finals"):
            plain.pop(free, None)
        if self.fixed:
            plain["trial"] = [identity(trial) for trial in self.fixed]
        marks = {
            f"{name}.major": version(name).split(".")[0] for name in ("optuna", "tensorflow", "keras", "numpy", "scipy")
        }
        return {**flat(plain), **digests, **marks}
