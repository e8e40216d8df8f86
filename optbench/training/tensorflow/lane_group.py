"""The lanes that step together, in one call compiled by XLA (see lanes.py)."""

from collections.abc import Collection

import numpy as np
import tensorflow as tf

from optbench.choices import Scale
from optbench.data.scaling import Scaling
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.precision import arrays
from optbench.training.contract import Job
from optbench.training.order import Array
from optbench.training.tensorflow.mlp import Mlp, Tensor
from optbench.training.tensorflow.ops import LANE_OPS

CHUNK = 2000  # examples evaluated at a time: the activations of a chunk stay in the cache


class LaneGroup:
    """Lanes that step together. Weights, optimizer state, hyperparameters and step counts are variables [W, ...].

    The variables are allocated once. Assigning a trial sets its part of them, so the step is compiled only once.
    `given` are the hyperparameters that trials may set. They decide which optional state is kept (None: all of it).
    `scale` is how inputs are scaled; standardized ones by the numbers of each lane's own training examples.
    """

    def __init__(
        self, width: int, model: Mlp, optimizer: str, given: Collection[str] | None = None, scale: Scale = Scale.UNIT
    ) -> None:
        self.width, self.model, self.scale = width, model, scale
        features = model.inputs if scale is Scale.STANDARD else 0
        self.shift, self.divisor = (tf.Variable(tf.ones((width, 1, features))) for _ in range(2))
        self.optimizer = OPTIMIZERS[optimizer]
        self.rule = self.optimizer.rule
        self.weights = [tf.Variable(tf.zeros((width, *shape))) for shape in model.shapes]
        self.kept = self.rule.kept(given)
        self.state = [{name: tf.Variable(tf.zeros_like(w)) for name in self.kept} for w in self.weights]
        self.hparams = {name: tf.Variable(tf.ones(width)) for name in arrays(self.optimizer, {})}
        self.count = tf.Variable(tf.zeros(width))
        self.start = [np.zeros((width, *shape), np.float32) for shape in model.shapes]
        self.traces = 0

    def assign(self, lane: int, job: Job, scaling: Scaling) -> None:
        """Start the job in the lane; no other lane changes. Raises ValueError if its optional state is not kept."""
        if self.scale is Scale.STANDARD:
            self.shift[lane, 0].assign(scaling.shift)
            self.divisor[lane, 0].assign(scaling.divisor)
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
            logits = self.model.logits(weights, self._scaled(inputs))
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
        logits = self.model.logits([variable.read_value() for variable in self.weights], self._scaled(inputs))
        wide = tf.broadcast_to(labels, tf.shape(logits)[:2])
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(wide, logits), axis=1), _correct(
            logits, wide
        )

    def _scaled(self, inputs: Tensor) -> Tensor:
        """The inputs as they enter the networks, float32."""
        values = tf.cast(inputs, tf.float32)
        if self.scale is Scale.STANDARD:
            return (values - self.shift) / self.divisor
        return values / 255.0 if self.scale is Scale.UNIT else values

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
