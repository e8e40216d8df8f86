"""Optuna's samplers and pruners, made from a sweep."""

from typing import Any

import optuna

from optbench.median import Median
from optbench.randomness import Purpose, seed
from optbench.sweep import Strategy, Sweep


def make_sampler(sweep: Sweep, first: int) -> optuna.samplers.BaseSampler:
    """The sampler of one worker, seeded by the number of its first trial: neither another worker nor a restart repeats
    its draws.
    """
    drawn = seed(Purpose.SAMPLER, sweep.seed, first)
    if sweep.sampler.name != "tpe":
        return optuna.samplers.RandomSampler(drawn)  # never asked: plan.py has the points
    return optuna.samplers.TPESampler(seed=drawn, **dict(sweep.sampler.arguments))  # type: ignore[arg-type]


def make_pruner(pruner: Strategy, epochs: int) -> optuna.pruners.BasePruner | Median:
    """The pruner by our name for it: Optuna's, or one that decides as Optuna's."""
    arguments: dict[str, Any] = {key: value for key, value in pruner.arguments.items() if key != "audit"}
    if pruner.name == "median":
        arguments["n_warmup_steps"] += 1  # Optuna judges at the step of that number; our steps are epochs from 1
        return Median(**arguments)
    if pruner.name == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs, **arguments)
    if pruner.name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(**arguments)
    return optuna.pruners.NopPruner()
