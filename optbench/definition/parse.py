"""Makes a Sweep of plain data, or says which key is wrong."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from optbench.definition.keys import Keys
from optbench.definition.parts import check_no_twins, dimension_of, fixed_trials
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.space import Dimension
from optbench.sweep import (
    PRUNERS,
    SAMPLERS,
    DataSource,
    FixedTrial,
    MlpModel,
    Sweep,
    grid_size,
)

TWENTY_PERCENT = -1  # the median pruner judges no slow starter in the first fifth of the epochs

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

MOST_POINTS = 1_000_000  # of a grid
MOST_WEIGHTS = 20_000_000  # of one network; every lane holds several times that in memory
TOP = (
    "name", "optimizer", "trials", "epochs", "batch", "seed", "lanes",
    "data", "model", "space", "sampler", "pruner", "trial",
)  # fmt: skip
ACTIVATIONS = ("elu", "gelu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")


def parse(table: Mapping[str, Any], where: str) -> Sweep:
    """The sweep that plain data defines; a DefinitionError names `where`, the key, its value and what was expected."""
    keys = Keys(table, where).only(*TOP)
    name = keys.take("name", str)
    check_study_name(name, where)
    optimizer = keys.pick("optimizer", OPTIMIZERS, None)
    epochs, batch = keys.count("epochs"), keys.count("batch", 128)
    seed, lanes = keys.count("seed", 0, least=0, most=2**63 - 1), keys.count("lanes", None, most=256)
    data = Keys(keys.take("data", dict), f"{where} [data]").only("name", "validation")
    data_name, validation = data.take("name", str), data.count("validation", least=0)
    model = Keys(keys.take("model", dict, {}), f"{where} [model]").only("hidden", "activation")
    hidden, activation = _hidden(model), model.pick("activation", ACTIVATIONS, "relu")
    raw_space = keys.take("space", dict, {})
    if raw_space and optimizer is None:
        raise DefinitionError(
            f"{where}: [space] needs an optimizer; expected optimizer = one of {', '.join(OPTIMIZERS)}"
        )
    space = {key: dimension_of(optimizer, key, value, f"{where} [space]") for key, value in raw_space.items()}
    check_no_twins(space, f"{where} [space]")
    if isinstance(table.get("trial"), Mapping):
        raise DefinitionError(f"{where}: [trial] is one table; expected a list of them: [[trial]]")
    fixed = fixed_trials(keys.take("trial", list, []), optimizer, space, where)
    sampler = _strategy("sampler", "tpe", keys, epochs, where)
    pruner = _strategy("pruner", "median" if space else "none", keys, epochs, where)
    trials = _trials(keys, space, fixed, sampler, validation, where)
    if validation == 0 and space:
        raise DefinitionError(f"{data.where}: validation = 0 with a [space]; expected images to select by, as 10000")
    return Sweep(
        name=name,
        trials=trials,
        epochs=epochs,
        batch=batch,
        seed=seed,
        data=DataSource(data_name, validation),
        model=MlpModel(hidden, activation),
        sampler=SAMPLERS[sampler.pop("name")](**sampler),
        pruner=PRUNERS[pruner.pop("name")](**pruner),
        optimizer=optimizer if space else None,
        space=dict(sorted(space.items())),  # the order of the keys in the file changes nothing
        fixed=fixed,
        lanes=lanes,
    )


def _hidden(model: Keys) -> tuple[int, ...]:
    hidden = model.take("hidden", list, [128])
    if not all(type(units) is int and units >= 1 for units in hidden):
        raise DefinitionError(f"{model.where}: hidden = {hidden!r}; expected a list of whole numbers above 0, as [128]")
    weights = sum(a * b for a, b in pairwise([784, *hidden, 10]))
    if weights > MOST_WEIGHTS:
        raise DefinitionError(
            f"{model.where}: hidden = {hidden!r} has {weights:,} weights; expected at most {MOST_WEIGHTS:,}"
        )
    return tuple(hidden)


def check_study_name(name: str, where: str) -> None:
    """Refuse a name that a table or a shell would mangle."""
    if not name.strip() or len(name) > 300 or not name.isprintable() or name.startswith("-"):
        raise DefinitionError(
            f"{where}: name {name[:40]!r} has {len(name)} characters; expected 1 to 300 printable ones, "
            "not all spaces, no '-' first"
        )


def _strategy(role: str, default: str, keys: Keys, epochs: int, where: str) -> dict[str, Any]:
    table = Keys(keys.take(role, dict, {"name": default}), f"{where} [{role}]")
    name = table.pick("name", ARGUMENTS[role], default)
    table.only("name", *ARGUMENTS[role][name])
    arguments: dict[str, Any] = {}
    for key, usual in ARGUMENTS[role][name].items():
        if key == "qmc_type":
            arguments[key] = table.pick(key, ("sobol", "halton"), usual)
        elif isinstance(usual, bool):
            arguments[key] = table.take(key, bool, usual)
        elif isinstance(usual, float):
            arguments[key] = _share(table, key, usual)
        else:
            value = math.ceil(epochs / 5) if usual == TWENTY_PERCENT else usual
            arguments[key] = table.count(key, value, least=_LEAST.get(key, 1))
    if arguments.get("min_resource", 1) > epochs:
        raise DefinitionError(
            f"{table.where}: min_resource = {arguments['min_resource']}, but a trial has {epochs} epochs; "
            "expected at most that"
        )
    return {"name": name, **arguments}


def _share(table: Keys, key: str, usual: float) -> float:
    share: float = table.take(key, float, usual)
    if not 0 <= share <= 1:
        raise DefinitionError(f"{table.where}: {key} = {share}; expected a share from 0 to 1")
    return share


_LEAST = {
    "min_early_stopping_rate": 0,
    "n_startup_trials": 0,
    "n_warmup_steps": 0,
    "points": 2,
    "reduction_factor": 2,
}


def _trials(
    keys: Keys,
    space: Mapping[str, Dimension],
    fixed: tuple[FixedTrial, ...],
    sampler: Mapping[str, Any],
    validation: int,
    where: str,
) -> int:
    if not space:
        if not fixed:
            raise DefinitionError(f"{where}: nothing to run; expected a [space] to search or [[trial]] entries")
        for key in ("trials", "sampler", "pruner"):
            if key in keys.table:
                raise DefinitionError(
                    f"{where}: {key!r} without a [space]; fixed trials all run, in turn: leave it out"
                )
        _check_labels(fixed, where)
        if validation and any(trial.published_test_accuracy is not None for trial in fixed):
            raise DefinitionError(
                f"{where}: published_test_accuracy, but validation = {validation}; only 0 opens the test set"
            )
        return len(fixed)
    trials: int = keys.count("trials")
    if trials < len(fixed):
        raise DefinitionError(
            f"{where}: trials = {trials}, but there are {len(fixed)} fixed trials; expected at least that"
        )
    if sampler["name"] == "grid":
        _check_grid(trials - len(fixed), grid_size(space, int(sampler["points"])), where)
    return trials


def _check_grid(wanted: int, size: int, where: str) -> None:
    """Refuse a grid that has too many points to be put in order, or fewer than there are trials to search."""
    if size > MOST_POINTS:
        raise DefinitionError(f"{where}: the grid has {size:,} points; expected at most {MOST_POINTS:,}: lower points")
    if wanted > size:
        raise DefinitionError(f"{where}: trials = {wanted}, but the grid has {size} points; expected at most {size}")


def _check_labels(fixed: tuple[FixedTrial, ...], where: str) -> None:
    """A label sums up the seeds of one setting, so it must not name two."""
    settings: dict[str | None, FixedTrial] = {}
    for trial in fixed:
        first = settings.setdefault(trial.label, trial)
        if (first.optimizer, first.params) != (trial.optimizer, trial.params):
            raise DefinitionError(f"{where}: label {trial.label!r} names two settings; expected a label for each")
