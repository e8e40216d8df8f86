"""Trains many trials in one compiled step. Lane l of every tensor belongs to one trial until the lane is released.

Lanes are divided into lane groups, at most one per core. A group steps its lanes in one call compiled by XLA. Groups
run their epochs independently, so within an epoch no core waits for another. A group has at least two lanes, even if
one of them stays empty, because XLA computes a lane identically, bit for bit, at every width except one. An empty lane
costs nothing. The graphs are written without autograph, which would take two seconds to translate them.
"""

import math
import time
from collections.abc import Collection

import numpy as np
import tensorflow as tf

from optbench.data import Examples, Split
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.precision import arrays
from optbench.training.contract import Epoch, Job
from optbench.training.names import TrainerName
from optbench.training.order import Array, batches
from optbench.training.tensorflow.device import cores, device_name
from optbench.training.tensorflow.mlp import Mlp, Tensor
from optbench.training.tensorflow.ops import LANE_OPS

CHUNK = 2000  # examples evaluated at a time: the activations of a chunk stay in the cache


class LaneGroup:
    """Lanes that step together. Weights, optimizer state, hyperparameters and step counts are variables [W, ...].

    The variables are allocated once. Assigning a trial sets its part of them, so the step is compiled only once.
    `given` are the hyperparameters that trials may set. They decide which optional state is kept (None: all of it).
    """

    def __init__(self, width: int, model: Mlp, optimizer: str, given: Collection[str] | None = None) -> None:
        self.width, self.model = width, model
        self.optimizer = OPTIMIZERS[optimizer]
        self.rule = self.optimizer.rule
        self.weights = [tf.Variable(tf.zeros((width, *shape))) for shape in model.shapes]
        self.kept = self.rule.kept(given)
        self.state = [{name: tf.Variable(tf.zeros_like(w)) for name in self.kept} for w in self.weights]
        self.hparams = {name: tf.Variable(tf.ones(width)) for name in arrays(self.optimizer, {})}
        self.count = tf.Variable(tf.zeros(width))
        self.start = [np.zeros((width, *shape), np.float32) for shape in model.shapes]
        self.traces = 0

    def assign(self, lane: int, job: Job) -> None:
        """Start the job in the lane; no other lane changes. Raises ValueError if its optional state is not kept."""
        for name, hparam in self.rule.optional.items():
            if name not in self.kept and job.hparams.get(hparam):
                raise ValueError(f"{hparam} = {job.hparams[hparam]}, but these lanes were made without {hparam}")
        weights = self.model.initial(job.seed)
        for variable, state, start, value in zip(self.weights, self.state, self.start, weights, strict=True):
            variable[lane].assign(value)
            start[lane] = value
            for held in state.values():
                held[lane].assign(tf.zeros_like(value))
        for name, number in arrays(self.optimizer, job.hparams, numerics=job.numerics).items():
            self.hparams[name][lane].assign(number)
        self.count[lane].assign(0.0)

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def step(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss [W] and correct [W] of one step of every lane on its own batch, uint8 [W, B, features]."""
        self.traces += 1
        weights = [variable.read_value() for variable in self.weights]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = self.model.logits(weights, inputs)
            losses = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=1)
            total = tf.reduce_sum(losses)  # a sum keeps lanes apart: each lane's gradient is of its own loss alone
        self.count.assign_add(tf.ones(self.width))
        for variable, state, gradient in zip(self.weights, self.state, tape.gradient(total, weights), strict=True):
            held = {name: value.read_value() for name, value in state.items()}
            delta, new = self.rule.update(LANE_OPS, variable.read_value(), gradient, held, *self._wide(variable))
            variable.assign_sub(delta)
            for name, value in new.items():
                state[name].assign(value)
        return losses, _correct(logits, labels)

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def score(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss [W] and correct [W] of every lane on inputs [n, features], or on its own [W, n, features]."""
        logits = self.model.logits([variable.read_value() for variable in self.weights], inputs)
        wide = tf.broadcast_to(labels, tf.shape(logits)[:2])
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(wide, logits), axis=1), _correct(
            logits, wide
        )

    def evaluate(self, inputs: Tensor, labels: Tensor, own: Tensor | None = None) -> Tensor:
        """Summed loss and correct, [2, W], of every lane on the same examples, or on its `own`, at positions [W, n]."""
        sums = tf.zeros((2, self.width))
        for start in range(0, (labels if own is None else own).shape[-1], CHUNK):
            chunk = slice(start, start + CHUNK)
            some = [x[chunk] if own is None else tf.gather(x, own[:, chunk]) for x in (inputs, labels)]
            sums += tf.stack(self.score(*some))
        return sums

    def measures(self) -> Array:
        """The median effective learning rate of every lane's weights, and their distance from the start: [2, W]."""
        rates, squares = [], np.zeros(self.width)
        for variable, state, start in zip(self.weights, self.state, self.start, strict=True):
            rate = self.rule.effective_lr(LANE_OPS, variable, state, *self._wide(variable))
            rates.append(np.broadcast_to(rate.numpy(), variable.shape).reshape(self.width, -1))
            squares += ((variable.numpy().astype(float) - start) ** 2).reshape(self.width, -1).sum(axis=1)
        return np.stack([np.median(np.concatenate(rates, axis=1), axis=1), np.sqrt(squares)])

    def _wide(self, variable: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The hyperparameters and step counts, shaped to go with a variable [W, ...]."""
        wide = (self.width, *[1] * (len(variable.shape) - 1))
        return {name: tf.reshape(value, wide) for name, value in self.hparams.items()}, tf.reshape(self.count, wide)

    def run(self, order: Tensor, live: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """Summed batch losses and correct, [2, W], of stepping through batches [steps, W, B]; zeros unless `live`."""
        steps = tf.where(live, tf.shape(order)[0], 0)

        def step(index: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            batch = order[index]
            return index + 1, sums + tf.stack(self.step(tf.gather(inputs, batch), tf.gather(labels, batch)))

        start = (tf.constant(0), tf.zeros((2, self.width)))
        return tf.while_loop(lambda index, _: index < steps, step, start)[1]


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return tf.reduce_sum(tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32), axis=1)


class Lanes:
    """The default trainer: `lanes` trials of one optimizer at a time (see optbench.training.contract.Trainer).

    `given` are the hyperparameters that its trials may set (see LaneGroup).
    """

    name = TrainerName.LANES.value

    def __init__(
        self,
        lanes: int,
        optimizer: str,
        model: Mlp,
        batch: int,
        split: Split,
        given: Collection[str] | None = None,
    ) -> None:
        self.lanes, self.model, self.batch = lanes, model, batch
        self.device = device_name()
        self.groups = [LaneGroup(width, model, optimizer, given) for width in widths(lanes)]
        self.places = [(group, lane) for group in self.groups for lane in range(group.width)]
        self.assigned: dict[int, Job] = {}
        self.epochs = [0] * lanes
        self.size, self.validated = len(split.train), len(split.validation or ())
        self.train_set = _tensors(split.pool or split.train)
        self.validation_set = _tensors(split.validation) if split.validation else None
        self.split = split
        self.train_positions = {lane: np.arange(self.size) for lane in range(lanes)}
        self.held_out = np.zeros((len(self.places), self.validated), np.int32)

    def assign(self, lane: int, job: Job) -> None:
        group, place = self.places[lane]
        group.assign(place, job)
        self.assigned[lane], self.epochs[lane] = job, 0
        if self.split.pool is not None:
            self.train_positions[lane], self.held_out[lane] = self.split.drawn(job.seed)

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
            orders[lane] = self.train_positions[lane][batches(self.size, self.batch, job.seed, self.epochs[lane])]
        live = {self.places[lane][0] for lane in self.assigned}
        figures = self._round(
            [tf.constant(part.swapaxes(0, 1)) for part in self._by_group(orders)],
            [tf.constant(group in live) for group in self.groups],
            [None if self.split.pool is None else tf.constant(part) for part in self._by_group(self.held_out)],
        ).numpy()
        seconds = (time.perf_counter() - start) / len(self.assigned)
        counts = [steps, steps * self.batch, self.validated, self.validated][: len(figures)]
        means = figures.astype(float) / np.array(counts)[:, np.newaxis]
        measures = np.hstack([g.measures() if g in live else np.zeros((2, g.width)) for g in self.groups])
        return {
            lane: self._epoch(lane, means[:, lane].tolist(), seconds, measures[:, lane].tolist())
            for lane in self.assigned
        }

    def test(self, lane: int, examples: Examples) -> float:
        group, place = self.places[lane]
        return int(group.evaluate(*_tensors(examples))[1, place]) / len(examples)

    def weights(self, lane: int) -> list[Array]:
        group, place = self.places[lane]
        return [variable.numpy()[place] for variable in group.weights]

    def _by_group(self, by_lane: Array) -> list[Array]:
        """An array [L, ...] as one [W, ...] for each group."""
        return np.split(by_lane, np.cumsum([group.width for group in self.groups])[:-1])

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def _round(self, orders: list[Tensor], live: list[Tensor], held_out: list[Tensor | None]) -> Tensor:
        """The sums of training, then of validation, [2 or 4, L], over an epoch. Every group is a branch of its own.

        `held_out` are the positions of each lane's own validation examples, [W, n]; None if the lanes share them.
        """
        parts = []
        for group, order, on, own in zip(self.groups, orders, live, held_out, strict=True):
            part = group.run(order, on, *self.train_set)
            if self.validation_set is not None:
                examples = self.validation_set if own is None else self.train_set
                with tf.control_dependencies([part]):
                    part = tf.concat([part, group.evaluate(*examples, own)], axis=0)
            parts.append(part)
        return tf.concat(parts, axis=1)

    def _epoch(self, lane: int, means: list[float], seconds: float, measures: list[float]) -> Epoch:
        """The epoch of one lane; `seconds` is the round's wall time divided by the number of its jobs."""
        validation_loss, validation_accuracy = means[2:] or (None, None)
        return Epoch(
            epoch=self.epochs[lane],
            train_loss=means[0],
            train_accuracy=means[1],
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=seconds,
            effective_lr=measures[0],
            weight_distance=measures[1],
            chance=self.split.facts.chance,
        )


def widths(lanes: int) -> list[int]:
    """How many lanes each group has, at least two: one group per core, or a single one on a GPU."""
    groups = max(1, min(cores(), lanes // 2))
    return [max(2, lanes // groups + (index < lanes % groups)) for index in range(groups)]


def _tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    return tf.constant(examples.inputs), tf.constant(examples.labels)
