"""The same contract on stock Keras `fit`, one trial at a time: what the lanes are held to."""

import time

import keras
import tensorflow as tf

from optbench.job import Epoch, Images, Job, Split
from optbench.space import KERAS_CLASSES
from optbench.training.lanes import device
from optbench.training.model import CLASSES, PIXELS, Mlp, batches


class Reference:
    """One Keras model and optimizer per trial (see job.Trainer)."""

    name = "reference"
    lanes = 1

    def __init__(self, optimizer: str, model: Mlp, batch: int, split: Split) -> None:
        self.optimizer, self.model, self.batch, self.split = (
            getattr(keras.optimizers, KERAS_CLASSES[optimizer]),
            model,
            batch,
            split,
        )
        self.device = device()
        self.job: Job | None = None
        self.epoch = 0

    def seat(self, lane: int, job: Job) -> None:
        keras.backend.clear_session()
        self.job, self.epoch = job, 0
        self.network = keras.Sequential([keras.layers.Input((PIXELS,)), keras.layers.Rescaling(1 / 255)])
        for units in self.model.hidden:
            self.network.add(keras.layers.Dense(units, activation=self.model.activation))
        self.network.add(keras.layers.Dense(CLASSES))
        self.network.set_weights(self.model.initial(job.seed))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.network.compile(self.optimizer(**job.hyper), loss, metrics=["accuracy"])

    def leave(self, lane: int) -> None:
        self.job = None

    def train(self) -> dict[int, Epoch]:
        if self.job is None:
            return {}
        start = time.perf_counter()
        self.epoch += 1
        train, validation = self.split.train, self.split.validation
        order = batches(len(train), self.batch, self.job.seed, self.epoch).ravel()
        history = self.network.fit(
            train.pixels[order], train.labels[order], batch_size=self.batch, shuffle=False, verbose=0
        ).history
        loss, accuracy = self._evaluate(validation) if validation else (None, None)
        seconds = time.perf_counter() - start
        return {0: Epoch(self.epoch, history["loss"][0], history["accuracy"][0], loss, accuracy, seconds)}

    def test(self, lane: int, images: Images) -> float:
        return self._evaluate(images)[1]

    def _evaluate(self, images: Images) -> tuple[float, float]:
        loss, accuracy = self.network.evaluate(tf.constant(images.pixels), images.labels, batch_size=2000, verbose=0)
        return loss, accuracy
