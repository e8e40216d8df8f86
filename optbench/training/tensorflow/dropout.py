"""Dropout in lanes. Its random bits are a hash of their positions, because XLA takes long for its own on a CPU."""

from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any
GOLDEN = 0x9E3779B9  # 2^32 divided by the golden ratio: its multiples are spread evenly


class Dropout(NamedTuple):
    """The rate of every lane [W], and a key for the random bits of one step [W], uint32."""

    rates: Tensor
    keys: Tensor

    def applied(self, values: Tensor, layer: int) -> Tensor:
        """The outputs [W, n, units] of a hidden layer, some of them 0 and the others larger, so that the mean stays."""
        _, examples, units = values.shape
        positions = tf.reshape(tf.range(examples * units), (1, examples, units))
        keys = mixed(self.keys + tf.constant(layer * GOLDEN % 2**32, tf.uint32))[:, tf.newaxis, tf.newaxis]
        bits = mixed(tf.cast(positions, tf.uint32) ^ keys)
        uniform = tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) / 2**24
        rates = self.rates[:, tf.newaxis, tf.newaxis]
        return tf.where(uniform < rates, tf.zeros_like(values), values / (1 - rates))


def keys_of(seeds: Tensor, count: Tensor) -> Tensor:
    """The keys [W] of the step `count` [W] of trials with these seeds [W], uint32."""
    return mixed(seeds + tf.cast(tf.cast(count, tf.int64), tf.uint32) * tf.constant(GOLDEN, tf.uint32))


def mixed(x: Tensor) -> Tensor:
    """A hash of each number to 32 bits: `lowbias32` of Chris Wellons, "Prospecting for Hash Functions" (2018)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32))) * tf.constant(factor, tf.uint32)
    return x ^ tf.bitwise.right_shift(x, tf.constant(16, tf.uint32))
