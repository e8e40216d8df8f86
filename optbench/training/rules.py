"""Update rules as pure functions shaped like their equations; they do not know that lanes exist.

Every argument is a float32 tensor (or a plain number) and broadcasts: scalars in a test, [L, 1, 1] in the trainer.
To add an optimizer: write its rule here, add it to RULES, and name its hyperparameters and its Keras class in space.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any
Slots = tuple[Tensor, ...]
Hyper = Mapping[str, Tensor]


class Rule(NamedTuple):
    """How many slots a weight has (all zero at first), and `update(gradient, slots, hyper, step)`, step from 1.

    `update` returns what to subtract from the weight, and the new slots.
    """

    slots: int
    update: Callable[[Tensor, Slots, Hyper, Tensor], tuple[Tensor, Slots]]


def adadelta(gradient: Tensor, slots: Slots, hyper: Hyper, step: Tensor) -> tuple[Tensor, Slots]:
    """AdaDelta (Zeiler 2012, algorithm 1) with Keras' learning rate; the slots average gradient^2 and delta^2."""
    squares, moves = slots
    rho, epsilon = hyper["rho"], hyper["epsilon"]
    squares = rho * squares + (1 - rho) * gradient**2
    delta = tf.sqrt(moves + epsilon) / tf.sqrt(squares + epsilon) * gradient
    moves = rho * moves + (1 - rho) * delta**2
    return hyper["learning_rate"] * delta, (squares, moves)


def adam(gradient: Tensor, slots: Slots, hyper: Hyper, step: Tensor) -> tuple[Tensor, Slots]:
    """Adam (Kingma and Ba 2015) in the "epsilon hat" form of its section 2, as Keras computes it."""
    mean, squares = slots
    beta_1, beta_2 = hyper["beta_1"], hyper["beta_2"]
    rate = hyper["learning_rate"] * tf.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    mean = mean + (gradient - mean) * (1 - beta_1)
    squares = squares + (gradient**2 - squares) * (1 - beta_2)
    return rate * mean / (tf.sqrt(squares) + hyper["epsilon"]), (mean, squares)


RULES: Mapping[str, Rule] = {"adadelta": Rule(2, adadelta), "adam": Rule(2, adam)}
