"""A sweep: what to search, on which data, with which model and budget. Frozen; `definition` reads and checks it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from optbench.space import Choice, Dimension, Float

TWENTY_PERCENT = -1  # the median pruner's warm-up: slow starters are not judged in the first fifth of the epochs

ARGUMENTS: Mapping[str, Mapping[str, Mapping[str, int | float | str | bool]]] = {
    "sampler": {
        "tpe": {"multivariate": True, "n_startup_trials": 10, "n_ei_candidates": 24, "constant_liar": True},
        "random": {},
        "qmc": {"qmc_type": "sobol", "scramble": True},
        "grid": {"points": 5},
    },
    "pruner": {
        "median": {
            "n_startup_trials": 10,
            "n_warmup_steps": TWENTY_PERCENT,
            "interval_steps": 1,
            "n_min_trials": 5,
            "audit": 0.0,
        },
        "hyperband": {"min_resource": 1, "reduction_factor": 3, "audit": 0.0},
        "successive_halving": {"min_resource": 1, "reduction_factor": 4, "min_early_stopping_rate": 0, "audit": 0.0},
        "none": {},
    },
}
"""Every sampler and pruner with its arguments and their defaults.

`audit` is ours: the share of the trials that a pruner would stop that run on, to see what is lost by stopping.
"""


@dataclass(frozen=True)
class Strategy:
    """A sampler or a pruner by name, with every argument written out."""

    name: str
    arguments: Mapping[str, int | float | str | bool]

    @property
    def audit(self) -> float:
        """The share of the trials that the pruner would stop, and that run on all the same."""
        return float(self.arguments.get("audit", 0.0))


@dataclass(frozen=True)
class FixedTrial:
    """A trial that is run as given, before the search, and never pruned."""

    optimizer: str
    params: Mapping[str, float]
    seed: int | None = None
    label: str | None = None
    published_test_accuracy: float | None = None


@dataclass(frozen=True)
class Sweep:
    """One study's definition. `optimizer` and `space` are absent where it holds nothing but fixed trials."""

    name: str
    trials: int
    epochs: int
    batch: int
    seed: int
    data: str
    validation: int
    hidden: tuple[int, ...]
    activation: str
    sampler: Strategy
    pruner: Strategy
    optimizer: str | None = None
    space: Mapping[str, Dimension] = field(default_factory=dict)
    fixed: tuple[FixedTrial, ...] = ()
    lanes: int | None = None

    @property
    def searches(self) -> bool:
        """Whether anything is selected here; if so, the test images stay closed."""
        return bool(self.space)

    @property
    def optimizers(self) -> tuple[str, ...]:
        """Every optimizer that a trial of this sweep may use, in order of first use."""
        named = [self.optimizer] if self.optimizer else []
        return tuple(dict.fromkeys([*named, *(trial.optimizer for trial in self.fixed)]))

    def definition(self) -> dict[str, Any]:
        """The definition as plain data, without defaults left out: `definition.parse` makes an equal sweep of it."""
        plain: dict[str, Any] = {"name": self.name}
        if self.searches:
            plain |= {"optimizer": self.optimizer, "trials": self.trials}
        plain |= {"epochs": self.epochs, "batch": self.batch, "seed": self.seed}
        if self.lanes is not None:
            plain["lanes"] = self.lanes
        plain["data"] = {"name": self.data, "validation": self.validation}
        plain["model"] = {"hidden": list(self.hidden), "activation": self.activation}
        if self.searches:
            plain["space"] = {name: _plain_dimension(dimension) for name, dimension in self.space.items()}
            plain["sampler"] = {"name": self.sampler.name, **self.sampler.arguments}
            plain["pruner"] = {"name": self.pruner.name, **self.pruner.arguments}
        if self.fixed:
            plain["trial"] = _grouped([_plain_trial(trial) for trial in self.fixed])
        return plain

    def fingerprint(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Everything that changes what a trial means, as dotted keys: `digests` name the data and the split.

        Trials and lanes are absent: how many trials there are, and how many ran side by side, changes none of them.
        """
        plain = self.definition()
        for free in ("name", "trials", "lanes"):
            plain.pop(free, None)
        if self.fixed:
            plain["trial"] = [
                _plain_trial(replace(trial, label=None, published_test_accuracy=None)) for trial in self.fixed
            ]
        marks = {
            f"{name}.major": version(name).split(".")[0] for name in ("optuna", "tensorflow", "keras", "numpy", "scipy")
        }
        flat = {key: value for key, value in _flat(plain).items() if (key, value) != ("pruner.audit", 0.0)}
        return {**flat, **digests, **marks}  # studies of before there were audits have no share of them


def grid_size(space: Mapping[str, Dimension], points: int) -> int:
    """How many trials a full grid has."""
    return math.prod(len(d.values) if isinstance(d, Choice) else points for d in space.values())


def _plain_dimension(dimension: Dimension) -> Any:
    if isinstance(dimension, Float):
        return {"low": dimension.low, "high": dimension.high, "log": dimension.log}
    return dimension.values[0] if len(dimension.values) == 1 else list(dimension.values)


def _plain_trial(trial: FixedTrial) -> dict[str, Any]:
    plain: dict[str, Any] = {"optimizer": trial.optimizer, **trial.params}
    if trial.seed is not None:
        plain["seeds"] = [trial.seed]
    if trial.label is not None:
        plain["label"] = trial.label
    if trial.published_test_accuracy is not None:
        plain["published_test_accuracy"] = trial.published_test_accuracy
    return plain


def _grouped(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials with neighbours that differ in nothing but their seeds as one."""
    found: list[dict[str, Any]] = []
    for trial in trials:
        last = found[-1] if found else {}
        seeds, new = last.get("seeds", []), trial.get("seeds", [])
        if seeds and new and last == trial | {"seeds": seeds} and not {*seeds} & {*new}:
            seeds += new
        else:
            found.append(trial)
    return found


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
