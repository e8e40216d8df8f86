"""Optuna's samplers and pruners, made from a sweep."""

from dataclasses import asdict
from typing import Any

import optuna

from optbench import sweep as definition
from optbench.median import Median
from optbench.randomness import Purpose, seed
from optbench.sweep import Hyperband, Pruner, SuccessiveHalving, Sweep, Tpe


def make_sampler(sweep: Sweep, first: int) -> optuna.samplers.BaseSampler:
    """The sampler of one worker, seeded by the number of its first trial: neither another worker nor a restart repeats
    its draws.
    """
    drawn = seed(Purpose.SAMPLER, sweep.seed, first)
    if not isinstance(sweep.sampler, Tpe):
        return optuna.samplers.RandomSampler(drawn)  # never asked: plan.py has the points
    return optuna.samplers.TPESampler(seed=drawn, **asdict(sweep.sampler))


def make_pruner(pruner: Pruner, epochs: int) -> optuna.pruners.BasePruner | Median:
    """The pruner by our name for it: Optuna's, or one that decides as Optuna's."""
    arguments: dict[str, Any] = {key: value for key, value in asdict(pruner).items() if key != "audit"}
    if isinstance(pruner, definition.Median):
        arguments["n_warmup_steps"] += 1  # Optuna judges at the step of that number; our steps are epochs from 1
        return Median(**arguments)
    if isinstance(pruner, Hyperband):
        return optuna.pruners.HyperbandPruner(max_resource=epochs, **arguments)
    if isinstance(pruner, SuccessiveHalving):
        return optuna.pruners.SuccessiveHalvingPruner(**arguments)
    return optuna.pruners.NopPruner()
