"""Learning rates that change with the steps of a trial: for lanes, and as a schedule of Keras for the reference."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from optbench.optimizers.knobs import FINAL, SCHEDULE, SCHEDULES, WARMUP, after_warmup, warmup_steps
from optbench.training.tensorflow.network import Tensor

CHANGING = frozenset({SCHEDULE, WARMUP})
"""The knobs by which a learning rate changes."""


def factor(hparams: Mapping[str, Tensor], step: Tensor, steps: Tensor, rise: Tensor) -> Tensor:
    """What the learning rate is multiplied by at a step, from 0, of so many `steps`, the first `rise` of them warmup.

    All are arrays of one shape. The shapes are those of Keras' CosineDecay, PolynomialDecay of power 1, and
    ExponentialDecay, over the steps after the warmup; the warmup is CosineDecay's.
    """
    final, shape = hparams[FINAL], hparams[SCHEDULE]
    progress = tf.clip_by_value((step - rise) / tf.maximum(steps - rise, 1.0), 0.0, 1.0)
    falls = {
        "constant": tf.ones_like(progress),
        "cosine": final + (1 - final) * (1 + tf.cos(math.pi * progress)) / 2,
        "linear": final + (1 - final) * (1 - progress),
        "exponential": tf.pow(final, progress),
    }
    fall = tf.add_n([tf.where(shape == number, falls[name], 0.0) for number, name in enumerate(SCHEDULES)])
    return tf.where(step < rise, step / tf.maximum(rise, 1.0), fall)


class Scheduled(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Keras' own schedule after a linear warmup, for a trial of so many steps."""

    def __init__(self, hparams: Mapping[str, float], steps: int) -> None:
        self.rate, self.rise = hparams["learning_rate"], warmup_steps(hparams, steps)
        after = after_warmup(hparams, steps)
        self.after = getattr(keras.optimizers.schedules, after.name)(**after.arguments)

    def __call__(self, step: Tensor) -> Tensor:
        step = tf.cast(step, tf.float32)
        rising = self.rate * step / max(self.rise, 1)
        return tf.where(step < self.rise, rising, self.after(tf.maximum(step - self.rise, 0.0)))

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("a schedule of optbench's reference trainer is never saved")
