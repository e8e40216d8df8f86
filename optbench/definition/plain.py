"""Writes the parts of a sweep as plain data, for a study's definition and its fingerprint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import tomli_w

from optbench.definition.space import Dimension, Float
from optbench.optimizers.spelling import spelled

if TYPE_CHECKING:
    from optbench.definition.data import DataSource
    from optbench.definition.sweep import Finals, FixedTrial


def plain_space(optimizer: str | None, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """The space as [space] has it: a table, a list, or a number or name for each hyperparameter."""
    return {name: _plain_dimension(optimizer, name, dimension) for name, dimension in space.items()}


def _plain_dimension(optimizer: str | None, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, Float):
        return {"low": dimension.low, "high": dimension.high, "log": dimension.log}
    values = [spelled(optimizer, {name: value})[name] for value in dimension.values]
    return values[0] if len(values) == 1 else values


def plain_data(data: "DataSource") -> dict[str, Any]:
    """The data as [data] has it, without what it leaves to defaults."""
    plain: dict[str, Any] = {"name": data.name} if data.file is None else {}
    if data.file is not None:
        held = asdict(data.file)
        plain = {"file": held.pop("path"), **held, "drop": list(data.file.drop) or None}
    plain |= {"validation": data.validation, "resplit": data.resplit}
    plain |= {"test": data.test, "scale": data.scale, "stratify": data.stratify}
    return {
        key: str(value) if isinstance(value, StrEnum) else value for key, value in plain.items() if value is not None
    }


def plain_finals(finals: "Finals | None") -> dict[str, Any] | bool:
    """The finals as [finals] has them; false if there are none."""
    if finals is None:
        return False
    return {key: value for key, value in asdict(finals).items() if value is not None}


def plain_trial(trial: "FixedTrial") -> dict[str, Any]:
    """The trial as a [[trial]] table."""
    plain: dict[str, Any] = {"optimizer": trial.optimizer, **spelled(trial.optimizer, trial.params)}
    if trial.seed is not None:
        plain["seeds"] = [trial.seed]
    if trial.label is not None:
        plain["label"] = trial.label
    if trial.published_test_accuracy is not None:
        plain["published_test_accuracy"] = trial.published_test_accuracy
    if trial.source_trial is not None:
        plain["source_trial"] = trial.source_trial
    return plain


def identity(trial: "FixedTrial") -> dict[str, Any]:
    """What a fingerprint has of the trial: everything that changes its numbers."""
    return plain_trial(replace(trial, label=None, published_test_accuracy=None, source_trial=None))


def grouped(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials, with neighbours that differ only in their seeds joined into one entry."""
    found: list[dict[str, Any]] = []
    for trial in trials:
        last = found[-1] if found else {}
        seeds, new = last.get("seeds", []), trial.get("seeds", [])
        if seeds and new and last == trial | {"seeds": seeds} and not {*seeds} & {*new}:
            seeds += new
        else:
            found.append(trial)
    return found


def flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one table with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def toml(plain: Mapping[str, Any]) -> str:
    """The tables as a person would write them in a sweep file. Floats have 15 digits: it is to be read, not run."""
    return tomli_w.dumps(as_written(plain))


def as_written(value: Any) -> Any:
    """The value, or the values in a table or list, with floats as people write them: 0.05, not 0.050000000000000044.

    Floats of at most 15 significant digits, which people type, do not change.
    """
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.15g}")
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list | tuple) else value
