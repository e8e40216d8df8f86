"""The multilayer perceptron: its variables, its initial weights, and its forward pass over lanes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optbench.data.dataset import Facts
from optbench.definition.network import MlpModel
from optbench.randomness import Purpose
from optbench.randomness import seed as draw
from optbench.training.order import Array, initial_weights
from optbench.training.tensorflow.dropout import Dropout
from optbench.training.tensorflow.network import Forward, Tensor, Variable


@dataclass(frozen=True)
class Mlp:
    """Dense layers over so many `inputs`, `hidden` units each, then a logit for each of the `classes`.

    Dropout follows every hidden layer.
    """

    inputs: int
    classes: int
    hidden: tuple[int, ...] = MlpModel.hidden
    activation: str = MlpModel.activation
    dropout: float = MlpModel.dropout

    xla = True

    @staticmethod
    def on(facts: Facts, model: MlpModel) -> "Mlp":
        """The network of a sweep's model on a data set."""
        return Mlp(math.prod(facts.shape), len(facts.classes), model.hidden, model.activation, model.dropout)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of a network's weights: kernel and bias of each layer in turn."""
        layers = pairwise([self.inputs, *self.hidden, self.classes])
        return [shape for fan_in, fan_out in layers for shape in ((fan_in, fan_out), (fan_out,))]

    @property
    def variables(self) -> list[Variable]:
        """Kernel and bias of each layer in turn."""
        return [Variable(shape) for shape in self.shapes]

    def initial(self, seed: int) -> list[Array]:
        """The weights that a trial with this seed starts from."""
        return initial_weights(self.shapes, seed)

    def forward(
        self,
        weights: Sequence[Tensor],
        others: Sequence[Tensor],
        inputs: Tensor,
        training: bool,
        dropout: Dropout | None = None,
    ) -> Forward:
        """See Network; no other variables and no penalties."""
        values = inputs
        activate = getattr(tf.nn, self.activation)
        for layer in range(0, len(weights), 2):
            kernel, bias = weights[layer : layer + 2]
            values = tf.matmul(values, kernel) + bias[:, tf.newaxis, :]
            if layer + 2 < len(weights):
                values = activate(values)
                if training and dropout is not None:
                    values = dropout.applied(values, layer)
        return Forward(values, [], tf.zeros(weights[0].shape[0]))

    def layers(self, values: Sequence[Array], dropout: float = 0.0, seed: int = 0) -> list[Any]:
        """See Network."""
        dense = [keras.layers.Dense(units, activation=self.activation) for units in self.hidden]
        dense.append(keras.layers.Dense(self.classes))
        for layer, kernel, bias in zip(dense, values[::2], values[1::2], strict=True):
            layer.build((None, len(kernel)))
            layer.set_weights([kernel, bias])
        if not dropout:
            return dense
        drops = [keras.layers.Dropout(dropout, seed=draw(Purpose.DROPOUT, seed, i)) for i in range(len(self.hidden))]
        return [layer for pair in zip(dense, drops, strict=False) for layer in pair] + dense[-1:]

    def values(self, layers: Sequence[Any]) -> list[Array]:
        """See Network."""
        return [np.asarray(value) for layer in layers for value in layer.trainable_variables]
