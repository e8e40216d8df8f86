"""Many trials in one compiled step: lane l of every tensor belongs to one trial, and a freed lane is refilled.

Lanes are shared out to groups, one per core at most. A group steps its lanes in one XLA-compiled call and runs its
epoch independently of the others, so no core waits for another within an epoch. A group is at least two lanes wide, if
need be with an empty one, which costs nothing: XLA computes a lane alike, bit for bit, at every width but one.
"""

import math
import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from optbench.data import Images, Split
from optbench.optimizers import OPTIMIZERS
from optbench.training.contract import Epoch, Job
from optbench.training.order import Array, batches
from optbench.training.tensorflow.device import cores, device_name
from optbench.training.tensorflow.mlp import Mlp, Tensor
from optbench.training.tensorflow.ops import LANE_OPS

CHUNK = 2000  # images evaluated at a time: the activations of a chunk stay in the cache


class LaneGroup:
    """Lanes that step together: weights, optimizer state, hyperparameters and steps, variables [W, ...] each."""

    def __init__(self, width: int, model: Mlp, optimizer: str) -> None:
        self.width, self.model = width, model
        self.optimizer = OPTIMIZERS[optimizer]
        self.rule = self.optimizer.rule
        self.weights = [tf.Variable(tf.zeros((width, *shape))) for shape in model.shapes]
        self.state = [{name: tf.Variable(tf.zeros_like(w)) for name in self.rule.state} for w in self.weights]
        self.hparams = {name: tf.Variable(tf.ones(width)) for name in self.optimizer.hyperparameters}
        self.count = tf.Variable(tf.zeros(width))
        self.start = [np.zeros((width, *shape), np.float32) for shape in model.shapes]
        self.traces = 0

    def assign(self, lane: int, weights: list[Array], hparams: Mapping[str, float]) -> None:
        """Put a new trial in the lane; no other lane changes."""
        for variable, state, start, value in zip(self.weights, self.state, self.start, weights, strict=True):
            variable[lane].assign(value)
            start[lane] = value
            for held in state.values():
                held[lane].assign(tf.zeros_like(value))
        for name, number in self.optimizer.complete(hparams).items():
            self.hparams[name][lane].assign(np.float32(number))
        self.count[lane].assign(0.0)

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def step(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step of every lane on its own batch, uint8 [W, B, 784]; returns mean loss [W] and correct [W]."""
        self.traces += 1
        weights = [variable.read_value() for variable in self.weights]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = self.model.logits(weights, pixels)
            losses = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=1)
            total = tf.reduce_sum(losses)  # a sum keeps lanes apart: no lane's gradient holds another's loss
        self.count.assign_add(tf.ones(self.width))
        for variable, state, gradient in zip(self.weights, self.state, tape.gradient(total, weights), strict=True):
            held = {name: value.read_value() for name, value in state.items()}
            delta, new = self.rule.update(LANE_OPS, variable.read_value(), gradient, held, *self._wide(variable))
            variable.assign_sub(delta)
            for name, value in new.items():
                state[name].assign(value)
        return losses, _correct(logits, labels)

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def score(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss [W] and correct [W] of every lane on the same images, uint8 [n, 784]."""
        logits = self.model.logits([variable.read_value() for variable in self.weights], pixels)
        wide = tf.broadcast_to(labels, tf.shape(logits)[:2])
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(wide, logits), axis=1), _correct(
            logits, wide
        )

    def evaluate(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Summed loss and correct of every lane on the same images: [2, W]."""
        sums = tf.zeros((2, self.width))
        for start in range(0, labels.shape[0], CHUNK):
            sums += tf.stack(self.score(pixels[start : start + CHUNK], labels[start : start + CHUNK]))
        return sums

    def motion(self) -> Array:
        """The median effective learning rate of every lane's weights, and their distance from the start: [2, W]."""
        rates, moved = [], np.zeros(self.width)
        for variable, state, start in zip(self.weights, self.state, self.start, strict=True):
            rate = self.rule.effective_lr(LANE_OPS, variable, state, *self._wide(variable))
            rates.append(np.broadcast_to(rate.numpy(), variable.shape).reshape(self.width, -1))
            moved += ((variable.numpy().astype(float) - start) ** 2).reshape(self.width, -1).sum(axis=1)
        return np.stack([np.median(np.concatenate(rates, axis=1), axis=1), np.sqrt(moved)])

    def _wide(self, variable: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The hyperparameters and step counts, shaped to go with a variable [W, ...]."""
        wide = (self.width, *[1] * (len(variable.shape) - 1))
        return {name: tf.reshape(value, wide) for name, value in self.hparams.items()}, tf.reshape(self.count, wide)

    def run(self, order: Tensor, live: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        """Step through the batches order [steps, W, B] if `live`; returns summed batch losses and correct, [2, W]."""
        sums = tf.zeros((2, self.width))
        for index in tf.range(tf.where(live, tf.shape(order)[0], 0)):
            batch = order[index]
            sums += tf.stack(self.step(tf.gather(pixels, batch), tf.gather(labels, batch)))
        return sums


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return tf.reduce_sum(tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32), axis=1)


class Lanes:
    """The default trainer: `lanes` trials of one optimizer at a time (see optbench.training.contract.Trainer)."""

    name = "lanes"

    def __init__(self, lanes: int, optimizer: str, model: Mlp, batch: int, split: Split) -> None:
        self.lanes, self.model, self.batch = lanes, model, batch
        self.device = device_name()
        self.groups = [LaneGroup(width, model, optimizer) for width in widths(lanes)]
        self.places = [(group, lane) for group in self.groups for lane in range(group.width)]
        self.assigned: dict[int, Job] = {}
        self.epochs = [0] * lanes
        self.size, self.held = len(split.train), len(split.validation or ())
        self.train_set = _tensors(split.train)
        self.validation_set = _tensors(split.validation) if split.validation else None

    def assign(self, lane: int, job: Job) -> None:
        group, place = self.places[lane]
        group.assign(place, self.model.initial(job.seed), job.hparams)
        self.assigned[lane], self.epochs[lane] = job, 0

    def release(self, lane: int) -> None:
        self.assigned.pop(lane, None)

    def train(self) -> dict[int, Epoch]:
        if not self.assigned:
            return {}
        start = time.perf_counter()
        steps = math.ceil(self.size / self.batch)
        orders = np.zeros((len(self.places), steps, self.batch), np.int32)
        for lane, job in self.assigned.items():
            self.epochs[lane] += 1
            orders[lane] = batches(self.size, self.batch, job.seed, self.epochs[lane])
        live = {self.places[lane][0] for lane in self.assigned}
        shares = np.split(orders, np.cumsum([group.width for group in self.groups])[:-1])
        figures = self._round(
            [tf.constant(share.swapaxes(0, 1)) for share in shares],
            [tf.constant(group in live) for group in self.groups],
        ).numpy()
        seconds = (time.perf_counter() - start) / len(self.assigned)
        counts = [steps, steps * self.batch, self.held, self.held][: len(figures)]
        means = figures.astype(float) / np.array(counts)[:, np.newaxis]
        motions = np.hstack([s.motion() if s in live else np.zeros((2, s.width)) for s in self.groups])
        return {
            lane: _epoch(self.epochs[lane], means[:, lane].tolist(), seconds, motions[:, lane].tolist())
            for lane in self.assigned
        }

    def test(self, lane: int, images: Images) -> float:
        group, place = self.places[lane]
        return int(group.evaluate(*_tensors(images))[1, place]) / len(images)

    def weights(self, lane: int) -> list[Array]:
        group, place = self.places[lane]
        return [variable.numpy()[place] for variable in group.weights]

    @tf.function  # type: ignore[untyped-decorator]
    def _round(self, orders: list[Tensor], live: list[Tensor]) -> Tensor:
        """An epoch of every group, each a branch of its own: the sums of training, then validation, [2 or 4, L]."""
        parts = []
        for group, order, on in zip(self.groups, orders, live, strict=True):
            part = group.run(order, on, *self.train_set)
            if self.validation_set is not None:
                with tf.control_dependencies([part]):
                    part = tf.concat([part, group.evaluate(*self.validation_set)], axis=0)
            parts.append(part)
        return tf.concat(parts, axis=1)


def widths(lanes: int) -> list[int]:
    """How many lanes each group has: one group per core, or a single one on a GPU, none narrower than two lanes."""
    groups = max(1, min(cores(), lanes // 2))
    return [max(2, lanes // groups + (index < lanes % groups)) for index in range(groups)]


def _tensors(images: Images) -> tuple[Tensor, Tensor]:
    return tf.constant(images.pixels), tf.constant(images.labels)


def _epoch(epoch: int, means: list[float], seconds: float, motion: list[float]) -> Epoch:
    """The row of one lane; `seconds` is the lane's share of the round's wall time."""
    validation_loss, validation_accuracy = means[2:] or (None, None)
    return Epoch(epoch, means[0], means[1], validation_loss, validation_accuracy, seconds, *motion)
