"""Update rules as pure functions shaped like their equations; they do not know that lanes exist.

Every argument is a float32 tensor (or a plain number) and broadcasts: scalars in a test, [L, 1, 1] in the trainer.
README.md says how to add one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

Tensor = Any
Slots = tuple[Tensor, ...]
Hparams = Mapping[str, Tensor]


class Rule(NamedTuple):
    """How many slots a weight has (all zero at first), its update, and the rate at which that follows the gradient.

    `update(weight, gradient, slots, hparams, step)`, step from 1, returns what to subtract from the weight, and the new
    slots. `rate(slots, hparams, step)` is the effective learning rate after a step: what the gradient, or its running
    mean, is multiplied by.
    """

    slots: int
    update: Callable[[Tensor, Tensor, Slots, Hparams, Tensor], tuple[Tensor, Slots]]
    rate: Callable[[Slots, Hparams, Tensor], Tensor]


def adadelta(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """AdaDelta (Zeiler 2012, algorithm 1) with Keras' learning rate; the slots average gradient^2 and delta^2."""
    squares, moves = slots
    rho, epsilon = hparams["rho"], hparams["epsilon"]
    squares = rho * squares + (1 - rho) * gradient**2
    delta = tf.sqrt(moves + epsilon) / tf.sqrt(squares + epsilon) * gradient
    moves = rho * moves + (1 - rho) * delta**2
    return hparams["learning_rate"] * delta, (squares, moves)


def adadelta_rate(slots: Slots, hparams: Hparams, step: Tensor) -> Tensor:
    squares, moves = slots
    return hparams["learning_rate"] * tf.sqrt(moves + hparams["epsilon"]) / tf.sqrt(squares + hparams["epsilon"])


def adagrad(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """Adagrad (Duchi et al. 2011), its sum starting at initial_accumulator_value; the slot sums gradient^2."""
    slots = (slots[0] + gradient**2,)
    return adagrad_rate(slots, hparams, step) * gradient, slots


def adagrad_rate(slots: Slots, hparams: Hparams, step: Tensor) -> Tensor:
    return hparams["learning_rate"] / tf.sqrt(hparams["initial_accumulator_value"] + slots[0] + hparams["epsilon"])


def adam(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """Adam (Kingma and Ba 2015) in the "epsilon hat" form of its section 2, as Keras computes it."""
    mean, squares = slots
    beta_1, beta_2 = hparams["beta_1"], hparams["beta_2"]
    rate = hparams["learning_rate"] * tf.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    mean = mean + (gradient - mean) * (1 - beta_1)
    squares = squares + (gradient**2 - squares) * (1 - beta_2)
    return rate * mean / (tf.sqrt(squares) + hparams["epsilon"]), (mean, squares)


def adam_rate(slots: Slots, hparams: Hparams, step: Tensor) -> Tensor:
    return hparams["learning_rate"] / (tf.sqrt(slots[1] / (1 - hparams["beta_2"] ** step)) + hparams["epsilon"])


def adamw(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """AdamW (Loshchilov and Hutter 2019), the decay times the learning rate, as in Keras and PyTorch."""
    delta, slots = adam(weight, gradient, slots, hparams, step)
    return hparams["learning_rate"] * hparams["weight_decay"] * weight + delta, slots


WARMTH = np.cumprod(1 - 0.5 * 0.96 ** np.arange(2001)) / 0.5  # products of factors 1 to t; the later ones are 1


def nadam(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """Nadam (Dozat 2016) with the warming momentum of its appendix: beta_1 (1 - 0.96^t / 2) at step t."""
    mean, squares = slots
    beta_1, beta_2 = hparams["beta_1"], hparams["beta_2"]
    now, then = (beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
    product = beta_1**step * tf.gather(tf.cast(WARMTH, gradient.dtype), tf.minimum(tf.cast(step, tf.int32), 2000))
    mean = mean + (gradient - mean) * (1 - beta_1)
    squares = squares + (gradient**2 - squares) * (1 - beta_2)
    ahead = then * mean / (1 - product * then) + (1 - now) * gradient / (1 - product)
    return hparams["learning_rate"] * ahead / (tf.sqrt(squares / (1 - beta_2**step)) + hparams["epsilon"]), (
        mean,
        squares,
    )


def rmsprop(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """RMSprop (Hinton's lecture 6e, 2012), epsilon inside the root as Keras has it; the slot averages gradient^2."""
    slots = (hparams["rho"] * slots[0] + (1 - hparams["rho"]) * gradient**2,)
    return rmsprop_rate(slots, hparams, step) * gradient, slots


def rmsprop_rate(slots: Slots, hparams: Hparams, step: Tensor) -> Tensor:
    return hparams["learning_rate"] / tf.sqrt(slots[0] + hparams["epsilon"])


def sgd(weight: Tensor, gradient: Tensor, slots: Slots, hparams: Hparams, step: Tensor) -> tuple[Tensor, Slots]:
    """Gradient descent with momentum, or Nesterov's (Sutskever et al. 2013); the slot is the velocity."""
    momentum, move = hparams["momentum"], hparams["learning_rate"] * gradient
    velocity = momentum * slots[0] + move
    return tf.where(hparams["nesterov"] > 0, momentum * velocity + move, velocity), (velocity,)


def sgd_rate(slots: Slots, hparams: Hparams, step: Tensor) -> Tensor:
    return hparams["learning_rate"] + tf.zeros_like(slots[0])


RULES: Mapping[str, Rule] = {
    "adadelta": Rule(2, adadelta, adadelta_rate),
    "adagrad": Rule(1, adagrad, adagrad_rate),
    "adam": Rule(2, adam, adam_rate),
    "adamw": Rule(2, adamw, adam_rate),
    "nadam": Rule(2, nadam, adam_rate),
    "rmsprop": Rule(1, rmsprop, rmsprop_rate),
    "sgd": Rule(1, sgd, sgd_rate),
}
