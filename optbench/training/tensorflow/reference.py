"""The reference trainer: Keras' own `fit`, one trial at a time. The lanes are tested against it."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optbench.choices import TrainerName
from optbench.data import Examples, Split
from optbench.data.scaling import Scaling, scaling_of
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import LABEL_SMOOTHING, SCHEDULE, WARMUP, batch_of, dropout_of
from optbench.training.contract import Epoch, Job
from optbench.training.order import Array, batches
from optbench.training.tensorflow.device import device_name
from optbench.training.tensorflow.network import Network
from optbench.training.tensorflow.schedules import Scheduled


def rule(optimizer: str, hparams: Mapping[str, float], steps: int) -> Any:
    """Keras' own optimizer, for a trial of so many steps. Raises DefinitionError where it has none of that name."""
    known = OPTIMIZERS[optimizer]
    if known.translations.keras is None:
        raise DefinitionError(f"Keras has no {optimizer}; leave --trainer out to train in lanes")
    arguments: dict[str, Any] = known.keras_arguments(hparams)
    if hparams.get(SCHEDULE) or hparams.get(WARMUP):
        arguments["learning_rate"] = Scheduled(hparams, steps)
    return getattr(keras.optimizers, known.translations.keras)(**arguments)


def compiled(layers: Sequence[Any], inputs: int, optimizer: Any, scaling: Scaling, label_smoothing: float = 0.0) -> Any:
    """A compiled Keras model with these layers, from inputs [n, features] as they are to logits [n, classes]."""
    made = keras.Sequential([keras.layers.Input((inputs,)), _scaling_layer(scaling), *layers])
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    made.compile(optimizer, _loss(label_smoothing), metrics=[accuracy])
    return made


def _loss(label_smoothing: float) -> Any:
    if label_smoothing == 0:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    dense = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)

    def smoothed(labels: Any, logits: Any) -> Any:
        whole = tf.cast(tf.reshape(labels, [-1]), tf.int32)  # Keras has made them floats
        return dense(tf.one_hot(whole, logits.shape[-1]), logits)

    return smoothed


def _scaling_layer(scaling: Scaling) -> Any:
    """The layer that scales inputs as lanes do."""
    if scaling.shift.ndim:
        return keras.layers.Normalization(mean=scaling.shift, variance=np.square(scaling.divisor))
    return keras.layers.Rescaling(1 / float(scaling.divisor))


class Reference:
    """One Keras model and optimizer per trial (see optbench.training.contract.Trainer)."""

    name = TrainerName.REFERENCE.value
    lanes = 1
    xla: bool | None = None

    def __init__(self, optimizer: str, network: Network, batch: int, split: Split) -> None:
        self.optimizer, self.network, self.batch, self.split = optimizer, network, batch, split
        self.device = device_name()
        self.threads: int | None = None
        self.job: Job | None = None
        self.epoch = 0

    def assign(self, lane: int, job: Job) -> None:
        keras.backend.clear_session()
        self.job, self.epoch = job, 0
        self.own = self.split.of(job.seed)
        scaling = scaling_of(self.split, job.seed)
        dropout = dropout_of(job.hparams, self.network.dropout)
        self.layers = self.network.layers(self.network.initial(job.seed), dropout, job.seed)
        self.job_batch = batch_of(job.hparams, self.batch)
        steps = job.epochs * math.ceil(len(self.own.train) / self.job_batch)
        optimizer = rule(self.optimizer, job.hparams, steps)
        smoothing = job.hparams.get(LABEL_SMOOTHING, 0.0)
        self.model = compiled(self.layers, self.network.inputs, optimizer, scaling, smoothing)

    def release(self, lane: int) -> None:
        self.job = None

    def train(self) -> dict[int, Epoch]:
        if self.job is None:
            return {}
        start = time.perf_counter()
        self.epoch += 1
        train, validation = self.own.train, self.own.validation
        order = batches(len(train), self.job_batch, self.job.seed, self.epoch).ravel()
        history = self.model.fit(
            train.inputs[order], train.labels[order], batch_size=self.job_batch, shuffle=False, verbose=0
        ).history
        loss, accuracy = self._evaluate(validation) if validation else (None, None)
        seconds = time.perf_counter() - start
        epoch = Epoch(
            epoch=self.epoch,
            train_loss=history["loss"][0],
            train_accuracy=history["accuracy"][0],
            validation_loss=loss,
            validation_accuracy=accuracy,
            seconds=seconds,
            chance=self.split.facts.chance,
        )
        return {0: epoch}

    def test(self, lane: int, examples: Examples) -> float:
        return self._evaluate(examples)[1]

    def weights(self, lane: int) -> list[Array]:
        return self.network.values(self.layers)

    def _evaluate(self, examples: Examples) -> tuple[float, float]:
        loss, accuracy = self.model.evaluate(tf.constant(examples.inputs), examples.labels, batch_size=2000, verbose=0)
        return loss, accuracy
