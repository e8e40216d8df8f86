"""Reads a sweep definition from TOML or plain data and checks all of it, before anything else happens."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from optbench.errors import DefinitionError, nearest
from optbench.keys import Keys
from optbench.space import (
    ONE_MINUS,
    OPTIMIZERS,
    Choice,
    Dimension,
    Float,
    check_dimension,
    check_value,
    hyperparameters,
)
from optbench.sweep import ARGUMENTS, TWENTY_PERCENT, FixedTrial, Strategy, Sweep, grid_size

ACTIVATIONS = ("elu", "gelu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")

def shipped() -> Path:
    """The folder of the definitions that come with the package: inside it when installed, beside it in a checkout."""
    inside = Path(__file__).parent / "sweeps"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "sweeps"


def find(name: str) -> Path:
    """The file that `name` means: a path, a name in ./sweeps, or a definition that ships with the package."""
    homes = [Path("sweeps"), shipped()]
    for path in (Path(name), *(home / f"{name}.toml" for home in homes)):
        if path.is_file():
            return path
    names = {path.stem for home in homes for path in home.glob("*.toml")}
    raise DefinitionError(f"no sweep {name!r}: no such file, and no such definition; {nearest(name, names)}")


def load(name: str, overrides: Mapping[str, Any]) -> Sweep:
    """The sweep that `name` means (see `find`), with `overrides` of its top-level keys from the command line."""
    path = find(name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise DefinitionError(f"{path}: not readable as TOML: {problem}") from problem
    if "trials" in overrides and "space" not in table:
        raise DefinitionError(f"--trials {overrides['trials']}: {path} is a list of fixed trials; leave --trials out")
    return parse(table | overrides, str(path))


def parse(table: Mapping[str, Any], where: str) -> Sweep:
    """The sweep that plain data defines; a DefinitionError names `where`, the key, its value and what was expected."""
    keys = Keys(table, where)
    name = keys.take("name", str)
    if not name.strip() or len(name) > 300:
        raise DefinitionError(f"{where}: name has {len(name)} characters; expected 1 to 300, not all spaces")
    optimizer = keys.pick("optimizer", OPTIMIZERS, None)
    epochs, batch = keys.count("epochs"), keys.count("batch", 128)
    seed, lanes = keys.count("seed", 0, least=0), keys.count("lanes", None)
    data = Keys(keys.take("data", dict), f"{where} [data]")
    data_name, validation = data.take("name", str), data.count("validation", least=0)
    model = Keys(keys.take("model", dict, {}), f"{where} [model]")
    hidden, activation = _hidden(model), model.pick("activation", ACTIVATIONS, "relu")
    raw_space = keys.take("space", dict, {})
    if raw_space and optimizer is None:
        raise DefinitionError(f"{where}: [space] needs an optimizer; expected optimizer = one of {', '.join(OPTIMIZERS)}")
    space = {key: _dimension(optimizer, key, value, f"{where} [space]") for key, value in raw_space.items()}
    _check_no_twins(space, f"{where} [space]")
    fixed = _fixed_trials(keys.take("trial", list, []), optimizer, space, where)
    sampler = _strategy("sampler", "tpe", keys, epochs, where)
    pruner = _strategy("pruner", "median" if space else "none", keys, epochs, where)
    trials = _trials(keys, space, fixed, sampler, where)
    for part in (keys, data, model):
        part.end()
    if validation == 0 and space:
        raise DefinitionError(
            f"{where} [data]: validation = 0 with a [space]; expected at least 1 image to select by: try 10000 for MNIST"
        )
    return Sweep(
        name, trials, epochs, batch, seed, data_name, validation, hidden, activation,
        sampler, pruner, optimizer if space else None, space, fixed, lanes,
    )  # fmt: skip


def _hidden(model: Keys) -> tuple[int, ...]:
    hidden = model.take("hidden", list, [128])
    if not all(type(units) is int and units >= 1 for units in hidden):
        raise DefinitionError(f"{model.where}: hidden = {hidden!r}; expected a list of whole numbers above 0, as [128]")
    return tuple(hidden)


def _dimension(optimizer: str, name: str, given: Any, where: str) -> Dimension:
    """A Float from {low, high, log}, a Choice from a list, a fixed Choice from a number."""
    dimension: Dimension
    if isinstance(given, Mapping):
        keys = Keys(given, f"{where} {name}")
        dimension = Float(keys.take("low", float), keys.take("high", float), keys.take("log", bool, False))
        keys.end()
        if dimension.log and dimension.low <= 0:
            raise DefinitionError(f"{where}: {name} has log = true from low = {dimension.low!r}; expected low above 0")
        if not dimension.low < dimension.high or math.isinf(dimension.high):
            raise DefinitionError(
                f"{where}: {name} has low = {dimension.low!r}, high = {dimension.high!r}; expected low < high, both finite"
            )
    else:
        values = given if isinstance(given, list) else [given]
        if not values or not all(type(v) in (int, float) for v in values) or len(set(values)) < len(values):
            raise DefinitionError(
                f"{where}: {name} = {given!r}; expected {{ low = .., high = .., log = true }}, "
                "a list of different numbers, or a number"
            )
        dimension = Choice(tuple(float(v) for v in values))
    check_dimension(optimizer, name, dimension, where)
    return dimension


def _check_no_twins(names: Iterable[str], where: str) -> None:
    for name in names:
        if ONE_MINUS + name in names:
            raise DefinitionError(f"{where}: both {name!r} and {ONE_MINUS + name!r}; expected one of them")


def _fixed_trials(
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
        raise DefinitionError(f"{keys.where}: optimizer = {own!r}; the [space] is {optimizer}'s: expected {optimizer!r}")
    label, published = keys.take("label", str, None), keys.take("published_test_accuracy", float, None)
    seeds = keys.take("seeds", list, [None])
    if not seeds or not all(seed is None or (type(seed) is int and seed >= 0) for seed in seeds):
        raise DefinitionError(f"{keys.where}: seeds = {seeds!r}; expected a list of whole numbers of at least 0")
    given = {}
    for name in list(keys.left):
        value = keys.left[name]
        check_value(own, name, value if type(value) in (int, float) else math.nan, keys.where)
        given[name] = float(keys.left.pop(name))
    _check_no_twins(given, keys.where)
    values = hyperparameters(own, given)
    params = _in_space(values, given, space, keys.where) if space else values
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
        if value not in dimension:
            raise DefinitionError(f"{where}: {name} = {value!r} is outside the [space]: expected {_words(dimension)}")
        params[name] = value
    return params


def _words(dimension: Dimension) -> str:
    if isinstance(dimension, Float):
        return f"{dimension.low!r} to {dimension.high!r}"
    return "one of " + ", ".join(map(repr, dimension.values))


def _strategy(role: str, default: str, keys: Keys, epochs: int, where: str) -> Strategy:
    table = Keys(keys.take(role, dict, {"name": default}), f"{where} [{role}]")
    name = table.pick("name", ARGUMENTS[role], default)
    arguments: dict[str, Any] = {}
    for key, usual in ARGUMENTS[role][name].items():
        if key == "qmc_type":
            arguments[key] = table.pick(key, ("sobol", "halton"), usual)
        elif isinstance(usual, bool):
            arguments[key] = table.take(key, bool, usual)
        else:
            value = math.ceil(epochs / 5) if usual is TWENTY_PERCENT else usual
            arguments[key] = table.count(key, value, least=_LEAST.get(key, 1))
    table.end()
    return Strategy(name, arguments)


_LEAST = {
    "min_early_stopping_rate": 0,
    "n_startup_trials": 0,
    "n_warmup_steps": 0,
    "points": 2,
    "reduction_factor": 2,
}


def _trials(
    keys: Keys, space: Mapping[str, Dimension], fixed: tuple[FixedTrial, ...], sampler: Strategy, where: str
) -> int:
    if not space:
        if not fixed:
            raise DefinitionError(f"{where}: nothing to run; expected a [space] to search or [[trial]] entries")
        return len(fixed)
    trials: int = keys.count("trials")
    if trials < len(fixed):
        raise DefinitionError(f"{where}: trials = {trials}, but there are {len(fixed)} fixed trials; expected at least that")
    if sampler.name == "grid" and trials - len(fixed) > (size := grid_size(space, int(sampler.arguments["points"]))):
        raise DefinitionError(f"{where}: trials = {trials}, but the grid has {size} points; expected at most {size}")
    return trials
