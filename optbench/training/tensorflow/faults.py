"""What is wrong with a network that a person's function made: what lanes would train wrongly, or not at all."""

import itertools
import logging
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optbench.definition.parse import MAX_WEIGHTS

log = logging.getLogger(__name__)
IN_LAYER, INNER, ARGUMENTS = "Exception encountered when calling", "Error encountered:", "Arguments received by"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def fault(network: Any, again: Callable[[int], Any], shape: tuple[int, ...], classes: int) -> str | None:
    """What is wrong with the network, in the words that follow the function's name; None if nothing is.

    The network was made with the seed 0. `again` makes one with a seed, `shape` is that of one input.
    """
    if not isinstance(network, keras.Model):
        return f"returned {type(network).__name__}; expected a keras.Model"
    if network.compiled:
        return "returned a compiled model; expected one without compile(): optbench trains it"
    for method in ("train_step", "compute_loss"):
        if getattr(type(network), method) is not getattr(keras.Model, method):
            return f"returned a model with a {method} of its own; expected the usual one"
    return (
        _in_variables(network)
        or _in_inputs(network, shape)
        or _in_outputs(network, shape, classes)
        or _in_seeds(network, again)
        or _in_training(again(0), shape)
    )


def _in_variables(network: Any) -> str | None:
    weights = network.trainable_variables
    count = sum(int(np.prod(v.shape)) for v in weights)
    if not 0 < count <= MAX_WEIGHTS:
        return f"has {count:,} trainable weights; expected 1 to {MAX_WEIGHTS:,}"
    if types := {str(v.dtype) for v in weights} - {"float32"}:
        return f"has weights of type {types.pop()}; expected float32"
    if any(getattr(v, "constraint", None) is not None for v in weights):
        return "has a constraint on its weights, which lanes do not apply; expected none"
    return None


def _in_inputs(network: Any, shape: tuple[int, ...]) -> str | None:
    given = getattr(network, "inputs", None)
    if given is None or (len(given) == 1 and given[0].shape[1:] == shape):
        return None
    shapes = ", ".join(str(one.shape[1:]) for one in given)
    return f"takes inputs of shape {shapes}; expected one of shape {shape}"


def _in_outputs(network: Any, shape: tuple[int, ...], classes: int) -> str | None:
    inputs = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    try:
        returned = network(inputs, training=False)
        if isinstance(returned, list | tuple | dict):
            return f"returns {len(returned)} outputs; expected one: logits of shape (4, {classes}) for 4 inputs"
        kind = keras.backend.standardize_dtype(returned.dtype)
        logits, stretched = np.asarray(returned), np.asarray(network(1000 * inputs, training=False))
    except Exception as problem:
        return f"raised {type(problem).__name__}: {first_line(problem)}"
    if logits.shape != (4, classes):
        return f"returns shape {logits.shape} for 4 inputs; expected logits of shape (4, {classes})"
    if kind != "float32":
        return f"returns {kind}; expected float32: lanes train in single precision only"
    if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        return "ends with a softmax; expected logits: leave the last activation out"
    if stretched.any() and ((stretched >= 0) & (stretched <= 1)).all():
        return "ends with a sigmoid, or something like it; expected logits: leave the last activation out"
    return None


def _in_seeds(network: Any, again: Callable[[int], Any]) -> str | None:
    before, after = variables_of(network), variables_of(again(0))
    shapes = [[v.shape for v in variables] for variables in (before, after, variables_of(again(1)))]
    if shapes[0] != shapes[1] or shapes[0] != shapes[2]:
        return "made weights of other shapes with another seed; expected the same shapes in every trial"
    if all(np.array_equal(*pair) for pair in zip(before, after, strict=True)):
        return None
    return "made other initial values the second time; expected random numbers only from Keras' layers"


def _in_training(network: Any, shape: tuple[int, ...]) -> str | None:
    """What fails in a training step only, for example a Python `if` on a tensor. Nothing is computed."""
    try:
        _gradients(network, jit_compile=False).get_concrete_function(tf.TensorSpec((2, *shape)))
    except Exception as problem:
        return f"raised {type(problem).__name__} in training: {first_line(problem)}"
    return None


def _gradients(network: Any, jit_compile: bool) -> Any:
    """The gradients of a training step, to be traced."""

    def gradients(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(inputs, training=True))
        return tape.gradient(total, network.trainable_variables)

    return tf.function(gradients, jit_compile=jit_compile, autograph=False)


def in_xla(network: Any, shape: tuple[int, ...]) -> bool:
    """Whether XLA has every operation of the network's training. It translates the graph, and compiles nothing."""
    try:
        _gradients(network, jit_compile=True).experimental_get_compiler_ir(tf.zeros((2, *shape)))(stage="hlo")
    except (ValueError, tf.errors.OpError) as problem:
        log.info("trained without XLA: %s", first_line(problem))
        return False
    return True


def variables_of(network: Any) -> list[Any]:
    """All variables of a Keras model, those that are trained first."""
    return [*network.trainable_variables, *network.non_trainable_variables]


def first_line(problem: BaseException) -> str:
    """What an error's message says is wrong: its first line, or, where Keras names only the layer there, the reason."""
    lines = [COLOURS.sub("", line).strip() for line in str(problem).splitlines()]
    first, *rest = [line for line in lines if line] or [""]
    if not first.startswith(IN_LAYER):
        return first
    reason = " ".join(itertools.takewhile(lambda line: not line.startswith(ARGUMENTS), rest))
    return f"{reason.rpartition(INNER)[2].strip()} ({first.rstrip('.')})" if reason else first
