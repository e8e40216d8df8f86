"""FTRL-Proximal (McMahan et al. 2013, algorithm 1), with Keras' shrinkage and `beta`.

As in Keras, little is left of the initial weights after the first step, because the rule computes a weight from its
gradients alone.
"""

import math

from optbench.optimizers.contract import (
    Hyperparameter,
    Ops,
    Optimizer,
    Rule,
    State,
    Tensor,
    Tensors,
    Translations,
)


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    rate, power = hparams["learning_rate"], -hparams["learning_rate_power"]
    before = hparams["initial_accumulator_value"] + state["squares"]
    new = {"squares": state["squares"] + gradient**2}
    after = hparams["initial_accumulator_value"] + new["squares"]
    shrunk = gradient + 2 * hparams["l2_shrinkage_regularization_strength"] * weight
    linear = state["linear"] + shrunk - (after**power - before**power) / rate * weight
    l1 = hparams["l1_regularization_strength"]
    clipped = ops.maximum(ops.minimum(linear, l1), -l1)
    moved_to = (clipped - linear) * effective_lr(ops, weight, new, hparams, step)
    return weight - moved_to, new | {"linear": linear}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    rate, power = hparams["learning_rate"], -hparams["learning_rate_power"]
    squares = hparams["initial_accumulator_value"] + state["squares"]
    l2 = hparams["l2_regularization_strength"] + hparams["beta"] / (2 * rate)
    return 1 / (squares**power / rate + 2 * l2)


FTRL = Optimizer(
    name="ftrl",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "learning_rate_power": Hyperparameter(-0.5, low=-math.inf, high=0.0, closed_high=True),
        "initial_accumulator_value": Hyperparameter(0.1, closed=True),
        "l1_regularization_strength": Hyperparameter(0.0, closed=True),
        "l2_regularization_strength": Hyperparameter(0.0, closed=True),
        "l2_shrinkage_regularization_strength": Hyperparameter(0.0, closed=True),
        "beta": Hyperparameter(0.0, closed=True),
    },
    rule=Rule(("squares", "linear"), update, effective_lr),
    translations=Translations(keras="Ftrl", torch=None, optax=None),
    colour="#6699CC",
    divides_by_rate=True,
)
