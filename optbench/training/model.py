"""The MLP: its shapes, its initial weights, its forward pass over lanes, and the order of its batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from optbench.randomness import Purpose, generator

PIXELS, CLASSES = 784, 10
Array = np.ndarray[Any, np.dtype[Any]]
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
        """Glorot-uniform kernels and zero biases, float32, the same for the same seed whatever the optimizer."""
        rng = generator(Purpose.WEIGHTS, seed)
        return [_glorot(rng, shape) if len(shape) == 2 else np.zeros(shape, np.float32) for shape in self.shapes]

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


def _glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    limit = math.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def batches(n: int, batch: int, seed: int, epoch: int) -> Array:
    """Indices int32 [ceil(n / batch), batch] into n images for one epoch (from 1) of one trial.

    Every image comes once; the last batch is filled up with images of another permutation, as a pipeline that
    repeats before it batches would do.
    """
    steps = math.ceil(n / batch)
    rng = generator(Purpose.BATCHES, seed, epoch)
    order = np.concatenate([rng.permutation(n), rng.permutation(n)[: steps * batch - n]])
    return order.astype(np.int32).reshape(steps, batch)
