"""Hyperparameters that every optimizer has beside those of its rule. Unless a trial sets one, it changes nothing.

All are optional: 0, their default, means none. `weight_decay` is decoupled: before each step the weights lose
learning_rate * weight_decay of themselves, as in Keras. `global_clipnorm` is the largest Euclidean norm of the
gradients of all weights of a network together; longer ones are scaled down to it. `label_smoothing` takes that fraction
of each label and spreads it evenly over all classes.
"""

from collections.abc import Mapping
from dataclasses import replace

from optbench.optimizers.contract import Hyperparameter, Optimizer

WEIGHT_DECAY, GLOBAL_CLIPNORM, LABEL_SMOOTHING = "weight_decay", "global_clipnorm", "label_smoothing"
KNOBS: Mapping[str, Hyperparameter] = {
    WEIGHT_DECAY: Hyperparameter(0.0, closed=True, optional=True),
    GLOBAL_CLIPNORM: Hyperparameter(0.0, closed=True, optional=True),
    LABEL_SMOOTHING: Hyperparameter(0.0, closed=True, high=0.5, closed_high=True, optional=True, of_loss=True),
}


def with_knobs(optimizer: Optimizer) -> Optimizer:
    """The optimizer with every knob that its own rule does not have already."""
    return replace(optimizer, hyperparameters={**KNOBS, **optimizer.hyperparameters})


def knobs_of(optimizer: Optimizer) -> frozenset[str]:
    """The names of the optimizer's knobs; one of its own rule is none."""
    return frozenset(name for name, knob in KNOBS.items() if optimizer.hyperparameters.get(name) is knob)
