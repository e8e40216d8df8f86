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

from optbench.choices import TrainerName
from optbench.data import Examples, Split
from optbench.data.scaling import scaling, scaling_of
from optbench.training.contract import Epoch, Job
from optbench.training.order import Array, batches
from optbench.training.tensorflow.device import cores, device_name
from optbench.training.tensorflow.lane_group import LaneGroup
from optbench.training.tensorflow.mlp import Mlp, Tensor


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
        self.groups = [LaneGroup(width, model, optimizer, given, split.scale) for width in widths(lanes)]
        self.places = [(group, lane) for group in self.groups for lane in range(group.width)]
        self.assigned: dict[int, Job] = {}
        self.epochs = [0] * lanes
        self.size, self.validated = len(split.train), len(split.validation or ())
        self.train_set = _tensors(split.pool or split.train)
        self.validation_set = _tensors(split.validation) if split.validation else None
        self.split = split
        self.scaling = scaling(split.scale, split.train.inputs)
        self.train_positions = {lane: np.arange(self.size) for lane in range(lanes)}
        self.held_out = np.zeros((len(self.places), self.validated), np.int32)

    def assign(self, lane: int, job: Job) -> None:
        group, place = self.places[lane]
        own = self.scaling
        if self.split.pool is not None:
            self.train_positions[lane], self.held_out[lane] = self.split.drawn(job.seed)
            own = scaling_of(self.split, job.seed)
        group.assign(place, job, own)
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
