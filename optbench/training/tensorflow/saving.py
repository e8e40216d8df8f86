"""Saves a trained network as a file that Keras loads."""

from collections.abc import Mapping
from pathlib import Path

from optbench.data.scaling import Scaling
from optbench.definition.sweep import Sweep
from optbench.training.order import Array
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.reference import network, rule


def save(
    weights: list[Array],
    sweep: Sweep,
    optimizer: str,
    hparams: Mapping[str, float],
    scaling: Scaling,
    path: Path,
) -> None:
    """Write a .keras file with the trial's optimizer: inputs [n, features] as they are to logits [n, classes]."""
    mlp = Mlp(len(weights[0]), len(weights[-1]), sweep.model.hidden, sweep.model.activation)
    model = network(mlp, weights, rule(optimizer, hparams), scaling)
    model.optimizer.build(model.trainable_variables)  # without this, Keras cannot load the file
    model.save(path)
