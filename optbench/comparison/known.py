"""Adds the known settings to a confirmation, so that a comparison can tell what tuning gained over them."""

import math
from collections.abc import Mapping
from dataclasses import replace

from optbench.definition.known import DEFAULTS, PAPER
from optbench.definition.sweep import FixedTrial, Sweep
from optbench.optimizers import OPTIMIZERS

SEEDS = 10
"""On how many seeds they are trained at most: enough to show a gain that is as large as the scatter of the seeds."""


def with_known(sweep: Sweep) -> Sweep:
    """The confirmation with Keras' defaults and the paper's setting of its optimizer on the first of its seeds.

    A setting that is confirmed anyway is not trained twice.
    """
    optimizer = OPTIMIZERS[sweep.fixed[0].optimizer]
    settings = {DEFAULTS: optimizer.resolve({})}
    if optimizer.paper is not None:
        settings[PAPER] = optimizer.resolve(optimizer.paper)
    seeds = list(dict.fromkeys(trial.seed for trial in sweep.fixed))[:SEEDS]
    confirmed = [optimizer.complete(trial.params) for trial in sweep.fixed]
    more = [
        FixedTrial(optimizer=optimizer.name, params=params, seed=seed, label=label)
        for label, params in settings.items()
        if not any(_same(optimizer.complete(params), other) for other in confirmed)
        for seed in seeds
    ]
    return replace(sweep, fixed=(*sweep.fixed, *more), trials=len(sweep.fixed) + len(more))


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether both are one setting, apart from rounding."""
    return all(math.isclose(value, other[name]) for name, value in one.items())
