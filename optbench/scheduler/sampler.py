"""Makes the sampler of a sweep."""

from dataclasses import asdict

import optuna

from optbench.definition.sweep import Sweep, Tpe
from optbench.randomness import Purpose, seed


def make_sampler(sweep: Sweep, first: int) -> optuna.samplers.BaseSampler:
    """The sampler of one worker, seeded by the number `first` of its first trial.

    No other worker or earlier run has started with that number, so none of them draws the same parameters.
    """
    drawn = seed(Purpose.SAMPLER, sweep.seed, first)
    if not isinstance(sweep.sampler, Tpe):
        return optuna.samplers.RandomSampler(drawn)  # never used: plan.py gives the points
    return optuna.samplers.TPESampler(seed=drawn, **asdict(sweep.sampler))
