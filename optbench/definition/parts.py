"""Reads the parts of a definition that hold hyperparameters: the [space] and the [[trial]] entries."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from optbench.definition.keys import Keys
from optbench.errors import DefinitionError, nearest
from optbench.optimizers import ONE_MINUS, OPTIMIZERS
from optbench.space import Choice, Dimension, Float, check_dimension
from optbench.sweep import FixedTrial


def dimension_of(optimizer: str, name: str, given: Any, where: str) -> Dimension:
    """A Float from {low, high, log}, a Choice from a list, a fixed Choice from a number."""
    dimension: Dimension
    if isinstance(given, Mapping):
        keys = Keys(given, f"{where} {name}").only("low", "high", "log")
        dimension = Float(keys.take("low", float), keys.take("high", float), keys.take("log", bool, False))
        if dimension.log and dimension.low <= 0:
            raise DefinitionError(f"{where}: {name} has log = true from low = {dimension.low!r}; expected low above 0")
        if not dimension.low < dimension.high or math.isinf(dimension.high):
            raise DefinitionError(
                f"{where}: {name} has low = {dimension.low!r}, high = {dimension.high!r}; "
                "expected low < high, both finite"
            )
    else:
        values = given if isinstance(given, list) else [given]
        if not values or not all(type(v) in (int, float, bool) for v in values) or len(set(values)) < len(values):
            raise DefinitionError(
                f"{where}: {name} = {given!r}; expected {{ low = .., high = .., log = true }}, "
                "a list of different numbers, or a number"
            )
        for value in values:
            OPTIMIZERS[optimizer].check(name, value, where)
        dimension = Choice(tuple(float(v) for v in values))
    check_dimension(optimizer, name, dimension, where)
    return dimension


def check_no_twins(names: Iterable[str], where: str) -> None:
    for name in names:
        if ONE_MINUS + name in names:
            raise DefinitionError(f"{where}: both {name!r} and {ONE_MINUS + name!r}; expected one of them")


def fixed_trials(
    tables: list[Any], optimizer: str | None, space: Mapping[str, Dimension], where: str
) -> tuple[FixedTrial, ...]:
    trials = []
    for index, table in enumerate(tables, start=1):
        trials += _fixed_trial(Keys(table, f"{where} [[trial]] {index}"), optimizer, space)
    return tuple(trials)


def _fixed_trial(keys: Keys, optimizer: str | None, space: Mapping[str, Dimension]) -> list[FixedTrial]:
    own = keys.pick("optimizer", OPTIMIZERS, optimizer)
    if own is None:
        raise DefinitionError(f"{keys.where}: expected optimizer = one of {', '.join(OPTIMIZERS)}")
    if space and own != optimizer:
        raise DefinitionError(
            f"{keys.where}: optimizer = {own!r}; the [space] is {optimizer}'s: expected {optimizer!r}"
        )
    label, published = keys.take("label", str, None), keys.take("published_test_accuracy", float, None)
    seeds = keys.take("seeds", list, [None])
    valid = all(seed is None or (type(seed) is int and 0 <= seed < 2**63) for seed in seeds)
    if not seeds or not valid or len(set(seeds)) < len(seeds):
        raise DefinitionError(
            f"{keys.where}: seeds = {seeds!r}; expected a list of different whole numbers, at least 0"
        )
    if published is not None and (space or not 0 <= published <= 1):
        raise DefinitionError(
            f"{keys.where}: published_test_accuracy = {published}; expected 0 to 1, in a list of fixed trials"
        )
    given = {}
    for name, value in keys.table.items():
        if name not in ("optimizer", "label", "published_test_accuracy", "seeds"):
            if type(value) not in (int, float, bool):
                raise DefinitionError(f"{keys.where}: {name} = {value!r}; expected a number")
            OPTIMIZERS[own].check(name, value, keys.where)
            given[name] = float(value)
    check_no_twins(given, keys.where)
    values = OPTIMIZERS[own].resolve(given)
    params = _in_space(values, given, space, keys.where) if space else values
    if not space and label is None:
        label = " ".join([own, *(f"{name}={value:g}" for name, value in values.items())])
    return [FixedTrial(own, params, seed, label, published) for seed in seeds]


def _in_space(
    values: Mapping[str, float], given: Mapping[str, float], space: Mapping[str, Dimension], where: str
) -> dict[str, float]:
    """The values under the names of the space, each checked against its range."""
    bases = {name.removeprefix(ONE_MINUS) for name in space}
    for name in given:
        if name.removeprefix(ONE_MINUS) not in bases:
            raise DefinitionError(f"{where}: {name} is not in the [space]; {nearest(name, space)}")
    params = {}
    for name, dimension in space.items():
        base = name.removeprefix(ONE_MINUS)
        value = given[name] if name in given else 1 - values[base] if name.startswith(ONE_MINUS) else values[base]
        value = _snapped(value, dimension)
        if value not in dimension:
            raise DefinitionError(f"{where}: {name} = {value!r} is outside the [space]: expected {_words(dimension)}")
        params[name] = value
    return params


def _snapped(value: float, dimension: Dimension) -> float:
    """The end or the choice that `value` was meant to be: 1 - 0.95 is not quite 0.05."""
    marks = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
    return next((mark for mark in marks if math.isclose(value, mark, rel_tol=1e-9)), value)


def _words(dimension: Dimension) -> str:
    if isinstance(dimension, Float):
        return f"{dimension.low!r} to {dimension.high!r}"
    return "one of " + ", ".join(map(repr, dimension.values))
