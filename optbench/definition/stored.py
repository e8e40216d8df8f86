"""Reads the definition that a study stores. It checks nothing, so that every study stays readable."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from optbench.choices import Missing, Scale
from optbench.definition.data import DataSource, TableFile
from optbench.definition.network import BuiltModel, MlpModel, Model
from optbench.definition.space import Choice, Dimension, Float
from optbench.definition.sweep import (
    PRUNERS,
    SAMPLERS,
    Finals,
    FixedTrial,
    Median,
    NoPruner,
    Pruner,
    RandomSampler,
    Start,
    SuccessiveHalving,
    Sweep,
)
from optbench.optimizers.knobs import KNOBS

log = logging.getLogger(__name__)
Kind = TypeVar("Kind")
FORMER_HALVING: Mapping[str, Any] = {"min_resource": 1, "reduction_factor": 4, "window": 0}  # defaults before
OF_A_TRIAL = ("optimizer", "label", "published_test_accuracy", "seeds", "source_trial")


def read_sweep(definition: Mapping[str, Any]) -> Sweep:
    """The sweep of a stored definition, even if today's checks would refuse it.

    Missing keys get their defaults, and unknown keys are ignored. Raises TypeError, ValueError, KeyError or
    AttributeError if the definition does not have optbench's form at all.
    """
    space = {name: _dimension(name, given) for name, given in definition.get("space", {}).items()}
    optimizer = definition.get("optimizer")
    fixed = _fixed_trials(definition.get("trial", []), optimizer)
    return Sweep(
        name=str(definition.get("name", "")),
        trials=int(definition.get("trials", len(fixed))),
        epochs=int(definition.get("epochs", 1)),
        batch=int(definition.get("batch", 128)),
        seed=int(definition.get("seed", 0)),
        data=_data(definition.get("data", {})),
        model=_model(definition.get("model", {})),
        sampler=_chosen(SAMPLERS, definition.get("sampler", {"name": "tpe"}), RandomSampler),
        pruner=_chosen(PRUNERS, definition.get("pruner", {"name": "none"}), NoPruner),
        optimizer=optimizer if space else None,
        space=space,
        fixed=fixed,
        lanes=definition.get("lanes"),
        known=bool(definition.get("known", False)),
        finals=_finals(definition.get("finals", False)),
        start=_made(Start, definition["start"]) if "start" in definition else None,
    )


def read_leniently(definition: Any) -> Sweep | None:
    """The sweep of a stored definition; None if it does not have optbench's form."""
    try:
        return read_sweep(definition) if isinstance(definition, Mapping) else None
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        log.info("a stored definition is not optbench's, so its study is shown as another program's: %r", problem)
        return None


def repeat_of(stored: str | None, name: str, fingerprint: Mapping[str, Any]) -> str | None:
    """The name that the repeats of a sweep share; None for a study that is not a repeat.

    Older repeats, whose fingerprints have no version, did not store it. It is then taken from the study's name, NAME/1.
    """
    base, slash, number = name.rpartition("/")
    derived = base if slash and number.isdecimal() and "version" not in fingerprint else None
    return derived if stored is None else stored


def as_begun(sweep: Sweep, stored: Sweep | None) -> Sweep:
    """The sweep as earlier versions read its file, where the `stored` study was begun by one.

    Its [space] gets the order of the stored one, because the points of a design depend on the order. New studies have
    their space in alphabetical order, older ones have the order of their file. Where the file leaves the pruner or its
    keys out, they get the defaults of then. The settings that its [start] gave the study are among its fixed trials.
    """
    if stored is None or stored.space.keys() != sweep.space.keys():
        return sweep
    space = {name: sweep.space[name] for name in stored.space}
    return replace(sweep, space=space, pruner=_pruner_as_begun(sweep, stored), fixed=_fixed_as_begun(sweep, stored))


def _fixed_as_begun(sweep: Sweep, stored: Sweep) -> tuple[FixedTrial, ...]:
    """The sweep's fixed trials, followed by those that the stored study got by the same [start]."""
    if sweep.start is None or sweep.start.top is None or sweep.start != stored.start or sweep.fixed == stored.fixed:
        return sweep.fixed
    return (*sweep.fixed, *stored.fixed[-sweep.start.top :])


def _pruner_as_begun(sweep: Sweep, stored: Sweep) -> Pruner:
    """The stored pruner, if the sweep's is the same but for defaults that have changed since; else the sweep's."""
    former = sweep.pruner
    if "pruner" in sweep.left_out:
        former = Median(n_warmup_steps=math.ceil(sweep.epochs / 5))
    elif isinstance(former, SuccessiveHalving):
        changed = {key: value for key, value in FORMER_HALVING.items() if f"pruner.{key}" in sweep.left_out}
        former = replace(former, **changed)
    return former if former == stored.pruner else sweep.pruner


def _data(given: Mapping[str, Any]) -> DataSource:
    held = _made(DataSource, {"name": "", "validation": 0, **given, "file": None})
    held = replace(held, scale=None if held.scale is None else Scale(held.scale))
    if "file" not in given:
        return held
    file = _made(TableFile, {"path": given["file"], **given, "drop": tuple(given.get("drop", ()))})
    file = replace(file, missing=None if file.missing is None else Missing(file.missing))
    return replace(held, name=Path(file.path).stem, file=file)


def _model(given: Mapping[str, Any]) -> Model:
    if "build" in given:
        return _made(BuiltModel, given)
    held = _made(MlpModel, given)
    return replace(held, hidden=tuple(held.hidden))


def _finals(given: Any) -> Finals | None:
    return _made(Finals, given) if isinstance(given, Mapping) else None


def _made(kind: type[Kind], table: Mapping[str, Any]) -> Kind:
    """A record of that kind, made from those keys of the table that are its fields."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in table.items() if key in known})


def _chosen(kinds: Mapping[str, type[Kind]], table: Mapping[str, Any], other: type[Kind]) -> Kind:
    """The sampler or pruner that a table names; `other` if this optbench does not know it."""
    return _made(kinds.get(table.get("name", ""), other), table)


def _dimension(name: str, given: Any) -> Dimension:
    if isinstance(given, Mapping):
        return Float(float(given["low"]), float(given["high"]), bool(given.get("log", False)))
    return Choice(tuple(_number(name, value) for value in (given if isinstance(given, list) else [given])))


def _number(name: str, value: Any) -> float:
    """A hyperparameter's value, which may be one of a knob's names."""
    return KNOBS[name].number(value) if name in KNOBS else float(value)


def _fixed_trials(tables: Sequence[Mapping[str, Any]], optimizer: str | None) -> tuple[FixedTrial, ...]:
    """A trial for each seed, with the parameters as they were stored."""
    return tuple(
        FixedTrial(
            optimizer=str(table.get("optimizer", optimizer)),
            params={name: _number(name, value) for name, value in table.items() if name not in OF_A_TRIAL},
            seed=seed,
            label=table.get("label"),
            published_test_accuracy=table.get("published_test_accuracy"),
            source_trial=table.get("source_trial"),
        )
        for table in tables
        for seed in table.get("seeds", [None])
    )
