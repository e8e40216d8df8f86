"""Saves a trained network as a file that Keras loads."""

from collections.abc import Mapping
from pathlib import Path

from optbench.data.scaling import Scaling
from optbench.errors import OutputError
from optbench.optimizers.knobs import SCHEDULE, WARMUP, dropout_of
from optbench.training.order import Array
from optbench.training.tensorflow.network import Network
from optbench.training.tensorflow.reference import compiled, rule


def save(
    values: list[Array],
    network: Network,
    optimizer: str,
    hparams: Mapping[str, float],
    scaling: Scaling,
    path: Path,
) -> None:
    """Write a .keras file with the trial's optimizer: inputs [n, features] as they are to logits [n, classes].

    The optimizer has no schedule, because the trial's has ended. Raises OutputError if Keras cannot save the network.
    """
    constant = {name: value for name, value in hparams.items() if name not in (SCHEDULE, WARMUP)}
    layers = network.layers(values, dropout_of(hparams, network.dropout))
    model = compiled(layers, network.inputs, rule(optimizer, constant, steps=0), scaling)
    model.optimizer.build(model.trainable_variables)  # without this, Keras cannot load the file
    try:
        model.save(path)
    except (NotImplementedError, TypeError, ValueError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise OutputError(f"Keras cannot save this network: {reason}; `--format python` writes a script") from problem
