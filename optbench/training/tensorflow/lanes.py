"""Trains many trials side by side. Lane l belongs to one trial until the lane is released.

On a CPU every lane is a group of its own: one trial with its own variables. So is every lane whose trials may have
other batch sizes than its neighbours'. Each batch size is compiled once. As many lanes train at a time as there are
cores, and none waits for another within an epoch. On a GPU all lanes are one group, which steps them in one call. All
groups share one compiled epoch, whatever trials they train. The graphs are written without autograph, which would take
two seconds to translate them.
"""

import math
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor, wait
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from optbench.choices import TrainerName
from optbench.data import Examples, Split
from optbench.data.scaling import scaling, scaling_of
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import BATCH, batch_of
from optbench.training.contract import Epoch, Job
from optbench.training.order import Array, batches
from optbench.training.tensorflow.device import device, device_name, groups_at_once, threads
from optbench.training.tensorflow.lane_group import LaneGroup
from optbench.training.tensorflow.network import Network, Tensor
from optbench.training.tensorflow.program import program_of


class Lanes:
    """The default trainer: `lanes` trials of one optimizer at a time (see optbench.training.contract.Trainer).

    `given` are the hyperparameters that its trials may set. They decide which optional state of the optimizer the lanes
    have (None: all of it).
    """

    name = TrainerName.LANES.value

    def __init__(
        self,
        lanes: int,
        optimizer: str,
        network: Network,
        batch: int,
        split: Split,
        given: Collection[str] | None = None,
    ) -> None:
        self.lanes, self.batch = lanes, batch
        self.device = device_name()
        self.threads: int | None = threads()
        self.xla: bool | None = network.xla
        self.program = program_of(
            network, OPTIMIZERS[optimizer], None if given is None else frozenset(given), split.scale
        )
        alone = device() == "CPU" or BATCH in self.program.knobs
        self.groups = [LaneGroup(together, self.program) for together in divided(lanes, alone)]
        self.executor = ThreadPoolExecutor(groups_at_once(), thread_name_prefix="lane")
        self.places = [(group, place) for group in self.groups for place in range(group.width)]
        self.assigned: dict[int, Job] = {}
        self.epochs = [0] * lanes
        self.size, self.validated = len(split.train), len(split.validation or ())
        self.train_set = _tensors(split.pool or split.train)
        shared = split.validation if split.pool is None else None  # else each trial draws its own from the pool
        self.validation_set = _tensors(shared) if shared else None
        self.split = split
        self.scaling = scaling(split.scale, split.train.inputs)
        self.train_positions = {lane: np.arange(self.size) for lane in range(lanes)}
        self.held_out = np.zeros((lanes, self.validated), np.int32)

    def assign(self, lane: int, job: Job) -> None:
        group, place = self.places[lane]
        own = self.scaling
        if self.split.pool is not None:
            self.train_positions[lane], self.held_out[lane] = self.split.drawn(job.seed)
            own = scaling_of(self.split, job.seed)
        group.assign(place, job, job.epochs * self._steps(job)[0], own)
        self.assigned[lane], self.epochs[lane] = job, 0

    def release(self, lane: int) -> None:
        self.assigned.pop(lane, None)

    def train(self) -> dict[int, Epoch]:
        if not self.assigned:
            return {}
        start = time.perf_counter()
        for lane in self.assigned:
            self.epochs[lane] += 1
        live = [group for group in self.groups if self.assigned.keys() & set(group.lanes)]
        begun = [self.executor.submit(self._train_group, group) for group in live]
        try:
            figures = {group: future.result() for group, future in zip(live, begun, strict=True)}
        finally:
            wait(begun)  # a second Ctrl-C must not leave lanes that train on
        seconds = (time.perf_counter() - start) / len(self.assigned)
        found = {}
        for lane in self.assigned:
            group, place = self.places[lane]
            means, measures = (part[:, place].tolist() for part in figures[group])
            found[lane] = self._epoch(lane, means, measures, seconds)
        return found

    def _train_group(self, group: LaneGroup) -> tuple[Array, Array]:
        """Mean figures [2 or 4, W] of one more epoch of the group's lanes, and their measures [2, W]."""
        jobs = {place: self.assigned[lane] for place, lane in enumerate(group.lanes) if lane in self.assigned}
        steps, batch = self._steps(next(iter(jobs.values())))
        order = np.zeros((steps, group.width, batch), np.int32)
        for place, job in jobs.items():
            lane = group.lanes[place]
            order[:, place] = self.train_positions[lane][batches(self.size, batch, job.seed, self.epochs[lane])]
        own = None if self.split.pool is None or not self.validated else tf.constant(self.held_out[group.lanes])
        validation = self.validation_set if own is None else self.train_set
        figures = self.program.epoch(group.held, tf.constant(order), self.train_set, validation, own).numpy()
        counts = [steps, steps * batch, self.validated, self.validated][: len(figures)]
        return figures.astype(float) / np.array(counts)[:, np.newaxis], group.measures()

    def _steps(self, job: Job) -> tuple[int, int]:
        """The number of steps in an epoch of the job, and its batch size."""
        batch = batch_of(job.hparams, self.batch)
        return math.ceil(self.size / batch), batch

    def test(self, lane: int, examples: Examples) -> float:
        group, place = self.places[lane]
        return int(self.program.evaluate(group.held, _tensors(examples))[1, place]) / len(examples)

    def weights(self, lane: int) -> list[Array]:
        group, place = self.places[lane]
        return [variable.numpy()[place] for variable in (*group.held.weights, *group.held.others)]

    def _epoch(self, lane: int, means: list[float], measures: list[float], seconds: float) -> Epoch:
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


def divided(lanes: int, alone: bool) -> list[range]:
    """The lanes of each group: one if each trains `alone`, else all of them."""
    return [range(lane, lane + 1) for lane in range(lanes)] if alone else [range(lanes)]


def _tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    """Inputs and labels as tensors, which all trainers of the process share: one for each optimizer of a study."""
    if examples not in _held:
        _held[examples] = tf.constant(examples.inputs), tf.constant(examples.labels)
    return _held[examples]


_held: WeakKeyDictionary[Examples, tuple[Tensor, Tensor]] = WeakKeyDictionary()
