"""The compiled epoch that groups of lanes share (see lanes.py)."""

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import NamedTuple

import tensorflow as tf

from optbench.choices import Scale
from optbench.optimizers import Optimizer
from optbench.optimizers.knobs import DROPOUT, GLOBAL_CLIPNORM, LABEL_SMOOTHING, WEIGHT_DECAY, knobs_of
from optbench.optimizers.precision import arrays
from optbench.training.tensorflow.dropout import Dropout, keys_of
from optbench.training.tensorflow.network import Network, Tensor
from optbench.training.tensorflow.ops import LANE_OPS
from optbench.training.tensorflow.schedules import CHANGING, factor

CHUNK = 2000  # examples evaluated at a time: the activations of a chunk stay in the cache

Labelled = tuple[Tensor, Tensor]
"""Inputs and labels."""


class Variables(NamedTuple):
    """What differs between groups of lanes: TensorFlow variables [W, ...], which are allocated once.

    `others` are the network's variables that no optimizer trains. `state` has the optimizer's state of each weight, by
    name. `count` are the steps so far, of `steps` in all, the first `rise` of them warmup. `dropout` are the rates, and
    `seeds` are for their random bits. Standardized inputs are `shift`ed and divided.
    """

    weights: list[Tensor]
    others: list[Tensor]
    state: list[dict[str, Tensor]]
    hparams: dict[str, Tensor]
    count: Tensor
    steps: Tensor
    rise: Tensor
    dropout: Tensor
    seeds: Tensor
    shift: Tensor
    divisor: Tensor


class Program:
    """One epoch of any group of lanes that trains this network with this optimizer, compiled once for each shape.

    The groups' variables are its arguments, so that neither another group nor another trial makes a new trace. XLA
    compiles the whole epoch, loop and all, because calling a compiled step for every batch takes longer.
    `kept` are the names of the optimizer's state, without the optional state that no trial needs, and `knobs` are those
    that trials set (see optbench.optimizers.knobs). `scale` is how inputs are scaled; standardized ones by the numbers
    of each lane's own training examples.
    """

    def __init__(
        self, network: Network, optimizer: Optimizer, kept: Sequence[str], knobs: Set[str], scale: Scale
    ) -> None:
        self.network, self.optimizer, self.scale = network, optimizer, scale
        self.kept, self.knobs = kept, knobs
        self.rule = optimizer.rule
        self.drops = DROPOUT in knobs or network.dropout > 0
        self.traces = 0
        self.epoch = tf.function(self._epoch, jit_compile=network.xla, autograph=False)
        self.evaluate = tf.function(self._evaluate, jit_compile=network.xla, autograph=False)

    def variables(self, width: int) -> Variables:
        """New variables for a group of so many lanes."""
        features = self.network.inputs if self.scale is Scale.STANDARD else 0
        made = [tf.Variable(tf.zeros((width, *one.shape), one.dtype)) for one in self.network.variables]
        trained = sum(one.trained for one in self.network.variables)
        weights = made[:trained]
        return Variables(
            weights=weights,
            others=made[trained:],
            state=[{name: tf.Variable(tf.zeros_like(weight)) for name in self.kept} for weight in weights],
            hparams={name: tf.Variable(tf.ones(width)) for name in arrays(self.optimizer, {})},
            count=tf.Variable(tf.zeros(width)),
            steps=tf.Variable(tf.zeros(width)),
            rise=tf.Variable(tf.zeros(width)),
            dropout=tf.Variable(tf.zeros(width)),
            seeds=tf.Variable(tf.zeros(width, tf.uint32)),
            shift=tf.Variable(tf.zeros((width, 1, features))),
            divisor=tf.Variable(tf.ones((width, 1, features))),
        )

    def _epoch(
        self, held: Variables, order: Tensor, train: Labelled, validation: Labelled | None, own: Tensor | None
    ) -> Tensor:
        """Sums over the epoch, [2 or 4, W]: training loss and correct; with `validation`, the same of it afterwards.

        `order` [steps, W, B] are the positions of the batches. `own` [W, n] are those of each lane's own validation
        examples; None if the lanes share all of them.
        """
        self.traces += 1

        def step(index: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            batch = order[index]
            return index + 1, sums + tf.stack(self._step(held, *(tf.gather(part, batch) for part in train)))

        start = (tf.constant(0), tf.zeros((2, order.shape[1])))
        sums = tf.while_loop(lambda index, _: index < tf.shape(order)[0], step, start)[1]
        if validation is None:
            return sums
        with tf.control_dependencies([sums]):
            return tf.concat([sums, self._evaluate(held, validation, own)], axis=0)

    def _step(self, held: Variables, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss [W] and correct [W] of one step of every lane on its own batch, [W, B, features] and [W, B]."""
        weights, others = _values(held.weights), _values(held.others)
        dropout = Dropout(held.dropout, keys_of(held.seeds, held.count)) if self.drops else None
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, after, penalties = self.network.forward(
                weights, others, self._scaled(held, inputs), training=True, dropout=dropout
            )
            losses = tf.reduce_mean(self._losses(held, labels, logits), axis=1) + penalties
            total = tf.reduce_sum(losses)  # a sum keeps lanes apart: each lane's gradient is of its own loss alone
        held.count.assign_add(tf.ones_like(held.count))
        gradients = self._clipped(held, tape.gradient(total, weights, unconnected_gradients="zero"))
        for variable, state, gradient in zip(held.weights, held.state, gradients, strict=True):
            now = {name: value.read_value() for name, value in state.items()}
            hparams, count = self.wide(held, variable)
            if WEIGHT_DECAY in self.knobs:
                variable.assign_sub(variable.read_value() * hparams[WEIGHT_DECAY] * hparams["learning_rate"])
            delta, new = self.rule.update(LANE_OPS, variable.read_value(), gradient, now, hparams, count)
            variable.assign_sub(delta)
            for name, value in new.items():
                state[name].assign(value)
        for variable, value in zip(held.others, after, strict=True):
            variable.assign(value)
        return losses, _correct(logits, labels)

    def wide(self, held: Variables, variable: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The hyperparameters of the last step and the step counts, shaped to go with a variable [W, ...]."""
        hparams = dict(held.hparams)
        if self.knobs & CHANGING:
            hparams["learning_rate"] = hparams["learning_rate"] * factor(hparams, held.count - 1, held.steps, held.rise)
        wide = (variable.shape[0], *[1] * (len(variable.shape) - 1))
        return {name: tf.reshape(value, wide) for name, value in hparams.items()}, tf.reshape(held.count, wide)

    def _score(self, held: Variables, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss [W] and correct [W] of every lane on inputs [n, features], or on its own [W, n, features]."""
        weights, others = _values(held.weights), _values(held.others)
        logits, _, penalties = self.network.forward(weights, others, self._scaled(held, inputs), training=False)
        wide = tf.broadcast_to(labels, tf.shape(logits)[:2])
        losses = self._losses(held, wide, logits) + penalties[:, tf.newaxis]
        return tf.reduce_sum(losses, axis=1), _correct(logits, wide)

    def _evaluate(self, held: Variables, examples: Labelled, own: Tensor | None = None) -> Tensor:
        """Summed loss and correct, [2, W], of every lane on the same examples, or on its `own`, at positions [W, n]."""
        count = (examples[1] if own is None else own).shape[-1]

        def score(start: Tensor, size: int) -> Tensor:
            if own is None:
                some = [tf.slice(x, [start] + [0] * (len(x.shape) - 1), [size, *x.shape[1:]]) for x in examples]
            else:
                chunk = tf.slice(own, [0, start], [own.shape[0], size])
                some = [tf.gather(x, chunk) for x in examples]
            return tf.stack(self._score(held, *some))

        sums, whole = tf.zeros((2, held.count.shape[0])), count // CHUNK
        if whole:
            begin = (tf.constant(0), sums)
            sums = tf.while_loop(
                lambda index, _: index < whole,
                lambda index, sums: (index + 1, sums + score(index * CHUNK, CHUNK)),
                begin,
            )[1]
        return sums + score(tf.constant(whole * CHUNK), count % CHUNK) if count % CHUNK else sums

    def _losses(self, held: Variables, labels: Tensor, logits: Tensor) -> Tensor:
        """The cross-entropy of every example, [W, n]."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if LABEL_SMOOTHING not in self.knobs:
            return losses
        smoothing = held.hparams[LABEL_SMOOTHING][:, tf.newaxis]
        over_all = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
        return (1 - smoothing) * losses + smoothing * over_all

    def _clipped(self, held: Variables, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients, scaled down in every lane where their norm, over all of the lane's weights, is too large."""
        if GLOBAL_CLIPNORM not in self.knobs:
            return gradients
        squares = [tf.reduce_sum(tf.reshape(g * g, (g.shape[0], -1)), axis=1) for g in gradients]
        norm, most = tf.sqrt(tf.add_n(squares)), held.hparams[GLOBAL_CLIPNORM]
        factor = tf.where(most > 0, most / tf.maximum(norm, most), 1.0)
        return [g * tf.reshape(factor, (-1, *[1] * (len(g.shape) - 1))) for g in gradients]

    def _scaled(self, held: Variables, inputs: Tensor) -> Tensor:
        """The inputs as they enter the networks, float32."""
        values = tf.cast(inputs, tf.float32)
        if self.scale is Scale.STANDARD:
            return (values - held.shift) / held.divisor
        return values / 255.0 if self.scale is Scale.UNIT else values


@lru_cache(maxsize=16)
def program_of(network: Network, optimizer: Optimizer, given: frozenset[str] | None, scale: Scale) -> Program:
    """The program for trials that set only the `given` hyperparameters (None: any of them).

    It is the same object for every study of such trials in this process, so that equal shapes are compiled once.
    """
    knobs = knobs_of(optimizer)
    return Program(network, optimizer, optimizer.rule.kept(given), knobs if given is None else knobs & given, scale)


def _values(variables: Sequence[Tensor]) -> list[Tensor]:
    return [variable.read_value() for variable in variables]


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return tf.reduce_sum(tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32), axis=1)
