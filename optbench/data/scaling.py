"""How inputs are scaled before they enter a network."""

from dataclasses import dataclass

import numpy as np

from optbench.choices import Scale
from optbench.data.dataset import Array, Split

SMALLEST = 1e-7  # Keras' Normalization divides by no smaller deviation, and an exported model must do as the lanes do


@dataclass(frozen=True)
class Scaling:
    """Inputs enter a network as (inputs - shift) / divisor: two numbers, or a number of each for every feature."""

    shift: Array
    divisor: Array


def scaling(scale: Scale, inputs: Array) -> Scaling:
    """The scaling of a trial that trains on these inputs [n, features].

    STANDARD takes the mean and the standard deviation of each feature, float32 [features]; a feature that is the same
    in all of them, or nearly so, is only shifted.
    """
    if scale is not Scale.STANDARD:
        return Scaling(np.zeros((), np.float32), np.array(255 if scale is Scale.UNIT else 1, np.float32))
    deviation = inputs.std(axis=0, dtype=np.float64)
    divisor = np.where(deviation > SMALLEST, deviation, 1).astype(np.float32)
    return Scaling(inputs.mean(axis=0, dtype=np.float64).astype(np.float32), divisor)


def scaling_of(split: Split, seed: int) -> Scaling:
    """The scaling of a trial with this seed, whose training examples may be its own."""
    own = split.of(seed) if split.scale is Scale.STANDARD else split
    return scaling(split.scale, own.train.inputs)
