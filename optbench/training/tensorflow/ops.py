"""The array functions that update rules use, in TensorFlow."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Tensor = Any


class LaneOps:
    """`optbench.optimizers.contract.Ops` for tensors whose first dimension is the lane."""

    sqrt = staticmethod(tf.sqrt)
    abs = staticmethod(tf.abs)
    sign = staticmethod(tf.sign)
    minimum = staticmethod(tf.minimum)
    maximum = staticmethod(tf.maximum)
    where = staticmethod(tf.where)

    def norm(self, x: Tensor) -> Tensor:
        """Each lane's own Euclidean norm, [W, 1, ...]: the sum runs over all dimensions but the lanes'."""
        return tf.sqrt(tf.reduce_sum(x * x, axis=list(range(1, len(x.shape))), keepdims=True))

    def lookup(self, values: Sequence[float], index: Tensor) -> Tensor:
        return tf.gather(tf.constant(values, index.dtype), tf.cast(index, tf.int32))


LANE_OPS = LaneOps()
