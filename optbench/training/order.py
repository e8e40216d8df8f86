"""What a trial's seed decides in every trainer: the initial weights and the order of the batches.

With `resplit` it also draws the split (see optbench.data.dataset).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optbench.randomness import Purpose, generator

Array = np.ndarray[Any, np.dtype[Any]]


def initial_weights(shapes: Sequence[tuple[int, ...]], seed: int) -> list[Array]:
    """Glorot-uniform kernels and zero biases, float32; they do not depend on the optimizer.

    Glorot and Bengio (2010), equation 16.
    """
    rng = generator(Purpose.WEIGHTS, seed)
    return [_glorot(rng, shape) if len(shape) == 2 else np.zeros(shape, np.float32) for shape in shapes]


def _glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    limit = math.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def batches(n: int, batch: int, seed: int, epoch: int) -> Array:
    """Indices of the examples of one epoch (from 1), int32 [ceil(n / batch), batch].

    Every example comes once. The last batch is filled up with examples of another permutation, as in a pipeline that
    repeats the data before it forms batches.
    """
    steps = math.ceil(n / batch)
    rng = generator(Purpose.BATCHES, seed, epoch)
    order = np.concatenate([rng.permutation(n), rng.permutation(n)[: steps * batch - n]])
    return order.astype(np.int32).reshape(steps, batch)
