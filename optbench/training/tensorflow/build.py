"""Makes the trainer of a sweep and configures TensorFlow for it. Importing this imports TensorFlow."""

import logging

import tensorflow as tf

from optbench.choices import TrainerName
from optbench.data import Split
from optbench.data.dataset import Facts
from optbench.definition.network import BuiltModel, Model
from optbench.definition.sweep import Sweep
from optbench.optimizers import ONE_MINUS
from optbench.training.contract import Trainer
from optbench.training.tensorflow.device import device, groups_at_once
from optbench.training.tensorflow.keras_model import keras_model
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.network import Network
from optbench.training.tensorflow.program import Program
from optbench.training.tensorflow.reference import Reference

MAX_LANES = 16


def configure(trainer: str, threads: int | None = None) -> None:
    """Set the process's TensorFlow threads, unless they are set, and its log. Call it before anything is computed.

    There are as many as lane groups, or as `threads` says. XLA runs the large operations of all groups on the same
    threads: with one thread, the groups of a wide network train one after the other. How many threads share a product
    may decide the last digits of its sums, for example in batches of thousands.
    """
    held = tf.config.threading
    if trainer == TrainerName.LANES and not held.get_intra_op_parallelism_threads():
        held.set_intra_op_parallelism_threads(threads or groups_at_once())
        held.set_inter_op_parallelism_threads(groups_at_once())
    tf.config.experimental.enable_tensor_float_32_execution(False)  # its rounded products differ from those of a CPU
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.get_logger().addFilter(_is_not_about_traces)


def _is_not_about_traces(record: logging.LogRecord) -> bool:
    """False for TensorFlow's advice against many traces of a Program.

    A Program has one trace for each shape, but TensorFlow counts those of all studies in the process together.
    """
    message = record.getMessage()
    return not ("triggered tf.function retracing" in message and Program.__module__ in message)


def build(trainer: str, sweep: Sweep, optimizer: str, split: Split, trials: int) -> Trainer:
    """The trainer of that name: `lanes` or `reference`.

    There are as many lanes as the sweep says, or one per core, but no more than `trials`.
    """
    network = network_of(sweep.model, split.facts)
    if trainer == TrainerName.REFERENCE:
        return Reference(optimizer, network, sweep.batch, split)
    usual = MAX_LANES if device() == "GPU" else min(groups_at_once(), MAX_LANES)
    lanes = sweep.lanes or usual
    return Lanes(max(1, min(lanes, trials)), optimizer, network, sweep.batch, split, _given(sweep, optimizer))


def network_of(model: Model, facts: Facts) -> Network:
    """The network of a sweep's model on a data set. Raises DefinitionError if a function makes no such network."""
    return keras_model(model, facts) if isinstance(model, BuiltModel) else Mlp.on(facts, model)


def _given(sweep: Sweep, optimizer: str) -> set[str]:
    """The hyperparameters of the optimizer that the sweep sets in any of its trials, by Keras' names."""
    names = set(sweep.space) if sweep.optimizer == optimizer else set()
    for trial in sweep.fixed:
        if trial.optimizer == optimizer:
            names |= trial.params.keys()
    return {name.removeprefix(ONE_MINUS) for name in names}
