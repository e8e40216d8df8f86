"""The multilayer perceptron: its shapes, its initial weights, and its forward pass over lanes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import tensorflow as tf

from optbench.training.order import Array, initial_weights

PIXELS, CLASSES = 784, 10
Tensor = Any


@dataclass(frozen=True)
class Mlp:
    """Dense layers over 784 pixels, `hidden` units each, then 10 logits."""

    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of a network's weights: kernel and bias of each layer in turn."""
        layers = pairwise([PIXELS, *self.hidden, CLASSES])
        return [shape for fan_in, fan_out in layers for shape in ((fan_in, fan_out), (fan_out,))]

    def initial(self, seed: int) -> list[Array]:
        """The weights that a trial with this seed starts from."""
        return initial_weights(self.shapes, seed)

    def logits(self, weights: Sequence[Tensor], pixels: Tensor) -> Tensor:
        """Logits [L, n, 10] of L networks with weights [L, ...] on images uint8 [n, 784] or [L, n, 784]."""
        values = tf.cast(pixels, tf.float32) / 255.0
        activate = getattr(tf.nn, self.activation)
        for layer in range(0, len(weights), 2):
            kernel, bias = weights[layer : layer + 2]
            values = tf.matmul(values, kernel) + bias[:, tf.newaxis, :]
            if layer + 2 < len(weights):
                values = activate(values)
        return values
