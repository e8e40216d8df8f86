"""The multilayer perceptron: its shapes, its initial weights, and its forward pass over lanes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import tensorflow as tf

from optbench.data.dataset import Facts
from optbench.definition.sweep import MlpModel
from optbench.training.order import Array, initial_weights

Tensor = Any


@dataclass(frozen=True)
class Mlp:
    """Dense layers over so many `inputs`, `hidden` units each, then a logit for each of the `classes`."""

    inputs: int
    classes: int
    hidden: tuple[int, ...] = MlpModel.hidden
    activation: str = MlpModel.activation

    @staticmethod
    def on(facts: Facts, model: MlpModel) -> "Mlp":
        """The network of a sweep's model on a data set."""
        return Mlp(math.prod(facts.shape), len(facts.classes), model.hidden, model.activation)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of a network's weights: kernel and bias of each layer in turn."""
        layers = pairwise([self.inputs, *self.hidden, self.classes])
        return [shape for fan_in, fan_out in layers for shape in ((fan_in, fan_out), (fan_out,))]

    def initial(self, seed: int) -> list[Array]:
        """The weights that a trial with this seed starts from."""
        return initial_weights(self.shapes, seed)

    def logits(self, weights: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """Logits [L, n, classes] of networks, weights [L, ...], on scaled inputs [n, features] or [L, n, features]."""
        values = inputs
        activate = getattr(tf.nn, self.activation)
        for layer in range(0, len(weights), 2):
            kernel, bias = weights[layer : layer + 2]
            values = tf.matmul(values, kernel) + bias[:, tf.newaxis, :]
            if layer + 2 < len(weights):
                values = activate(values)
        return values
