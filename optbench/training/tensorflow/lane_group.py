"""The lanes that step together (see lanes.py)."""

import numpy as np
import tensorflow as tf

from optbench.choices import Scale
from optbench.data.scaling import Scaling
from optbench.optimizers.knobs import dropout_of, knobs_of, warmup_steps
from optbench.optimizers.precision import arrays
from optbench.randomness import Purpose, seed
from optbench.training.contract import Job
from optbench.training.order import Array
from optbench.training.tensorflow.ops import LANE_OPS
from optbench.training.tensorflow.program import Program


class LaneGroup:
    """The trials of some of a trainer's lanes, which step together. Assigning one sets its part of the variables."""

    def __init__(self, lanes: range, program: Program) -> None:
        self.lanes, self.program = lanes, program
        self.width = len(lanes)
        self.held = program.variables(self.width)
        self.start = [np.zeros(weight.shape, np.float32) for weight in self.held.weights]

    def assign(self, lane: int, job: Job, steps: int, scaling: Scaling) -> None:
        """Start the job, of so many steps. No other lane changes. Raises ValueError if it needs state not kept."""
        program, held = self.program, self.held
        if program.scale is Scale.STANDARD:
            held.shift[lane, 0].assign(scaling.shift)
            held.divisor[lane, 0].assign(scaling.divisor)
        lacking = {hparam for name, hparam in program.rule.optional.items() if name not in program.kept}
        for name in lacking | (knobs_of(program.optimizer) - {*program.knobs}):
            if job.hparams.get(name):
                raise ValueError(f"{name} = {job.hparams[name]}, but these lanes were made without {name}")
        values = program.network.initial(job.seed)
        for variable, value in zip([*held.weights, *held.others], values, strict=True):
            variable[lane].assign(value)
        for state, start, value in zip(held.state, self.start, values[: len(held.weights)], strict=True):
            start[lane] = value
            for part in state.values():
                part[lane].assign(tf.zeros_like(value))
        for name, number in arrays(program.optimizer, job.hparams, numerics=job.numerics).items():
            held.hparams[name][lane].assign(number)
        held.dropout[lane].assign(dropout_of(job.hparams, program.network.dropout))
        held.seeds[lane].assign(seed(Purpose.DROPOUT, job.seed))
        held.count[lane].assign(0.0)
        held.steps[lane].assign(float(steps))
        held.rise[lane].assign(float(warmup_steps(job.hparams, steps)))

    def measures(self) -> Array:
        """The median effective learning rate of every lane's weights, and their distance from the start: [2, W]."""
        rates, squares, held = [], np.zeros(self.width), self.held
        for variable, state, start in zip(held.weights, held.state, self.start, strict=True):
            rate = self.program.rule.effective_lr(LANE_OPS, variable, state, *self.program.wide(held, variable))
            rates.append(np.broadcast_to(rate.numpy(), variable.shape).reshape(self.width, -1))
            squares += ((variable.numpy().astype(float) - start) ** 2).reshape(self.width, -1).sum(axis=1)
        return np.stack([np.median(np.concatenate(rates, axis=1), axis=1), np.sqrt(squares)])
