"""A network that a person's own function makes: any Keras model from one input to logits."""

import json
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optbench.data.dataset import Facts
from optbench.definition.network import BuiltModel
from optbench.definition.parse import MAX_WEIGHTS
from optbench.errors import DefinitionError
from optbench.randomness import Purpose, generator
from optbench.training.order import Array
from optbench.training.tensorflow.device import device
from optbench.training.tensorflow.network import Forward, Tensor, Variable

CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D, keras.layers.SeparableConv2D,
)  # fmt: skip


class Built:
    """The networks that a function makes, one for each trial. A first one tells what all of them have in common."""

    def __init__(self, model: BuiltModel, facts: Facts) -> None:
        """Raises DefinitionError, in one line, for a function that fails or makes something else."""
        self.model, self.shape, self.classes = model, facts.shape, len(facts.classes)
        self.function = _function(model)
        self.network = self._made(seed=0)
        self._check()
        trained, others = self.network.trainable_variables, self.network.non_trainable_variables
        self.variables = [Variable(tuple(v.shape), str(v.dtype)) for v in trained]
        self.variables += [Variable(tuple(v.shape), str(v.dtype), trained=False) for v in others]
        self.xla = device() == "GPU" or not any(map(_slow_in_xla, self.network._flatten_layers()))

    @property
    def inputs(self) -> int:
        """The number of features of one input."""
        return int(np.prod(self.shape))

    def initial(self, seed: int) -> list[Array]:
        """See Network."""
        return [np.asarray(variable) for variable in _variables(self._made(seed))]

    def forward(self, weights: Sequence[Tensor], others: Sequence[Tensor], inputs: Tensor, training: bool) -> Forward:
        """See Network; each of the W networks passes by itself."""
        passes = []
        for lane in range(weights[0].shape[0]):
            own = inputs[lane] if len(inputs.shape) == 3 else inputs
            passes.append(
                self.network.stateless_call(
                    [value[lane] for value in weights],
                    [value[lane] for value in others],
                    tf.reshape(own, (-1, *self.shape)),
                    training=training,
                    return_losses=True,
                )
            )
        stacked = [tf.stack(values) for values in zip(*(after for _, after, _ in passes), strict=True)]
        penalties = tf.stack([tf.add_n(losses) if losses else tf.constant(0.0) for _, _, losses in passes])
        return Forward(tf.stack([logits for logits, _, _ in passes]), stacked, penalties)

    def layers(self, values: Sequence[Array]) -> list[Any]:
        """See Network."""
        network = self._made(seed=0)
        for variable, value in zip(_variables(network), values, strict=True):
            variable.assign(value)
        return [keras.layers.Reshape(self.shape), network]

    def values(self, layers: Sequence[Any]) -> list[Array]:
        """See Network."""
        return [np.asarray(variable) for variable in _variables(layers[-1])]

    def _made(self, seed: int) -> Any:
        """A network whose initial weights, and random numbers in training, the seed decides.

        Keras draws the seeds of initializers and of dropout from Python's random numbers.
        """
        before, drawn = random.getstate(), generator(Purpose.WEIGHTS, seed)
        random.seed(int(drawn.integers(2**63)))
        try:
            return self.function(self.shape, self.classes, **self.model.arguments)
        except Exception as problem:
            line = (str(problem).splitlines() or [""])[0]
            raise self._error(f"raised {type(problem).__name__}: {line}") from problem
        finally:
            random.setstate(before)

    def _check(self) -> None:
        network = self.network
        if not isinstance(network, keras.Model):
            raise self._error(f"returned {type(network).__name__}; expected a keras.Model")
        if network.compiled:
            raise self._error("returned a compiled model; expected one without compile(): optbench trains it")
        if type(network).train_step is not keras.Model.train_step:
            raise self._error("returned a model with a train_step of its own; expected the usual one")
        if not network.built:
            network(np.zeros((1, *self.shape), np.float32))
        if len(network.inputs) != 1 or network.inputs[0].shape[1:] != self.shape:
            given = ", ".join(str(one.shape[1:]) for one in network.inputs)
            raise self._error(f"takes inputs of shape {given}; expected one of shape {self.shape}")
        if tuple(network.output_shape) != (None, self.classes):
            raise self._error(f"returns shape {network.output_shape}; expected logits of shape (None, {self.classes})")
        if _is_softmax(network.layers[-1]):
            raise self._error("ends with a softmax; expected logits: leave the last activation out")
        count = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        if not 0 < count <= MAX_WEIGHTS:
            raise self._error(f"has {count:,} weights; expected 1 to {MAX_WEIGHTS:,}")

    def _error(self, what: str) -> DefinitionError:
        return DefinitionError(f"[model] build: {self.model.shown} {what}")


def built(model: BuiltModel, facts: Facts) -> Built:
    """The networks of the function on a data set; the same object again for the same function, shape and classes."""
    return _built(model.build, model.source, json.dumps(model.arguments, sort_keys=True), facts.shape, facts.classes)


@lru_cache(maxsize=4)
def _built(build: str, source: str, arguments: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> Built:
    return Built(BuiltModel(build, source, json.loads(arguments)), Facts(shape, classes, 0))


def _function(model: BuiltModel) -> Callable[..., Any]:
    """The function, after running the source as a module. Raises DefinitionError."""
    module = ModuleType("optbench_model")
    module.__file__ = model.place
    try:
        exec(compile(model.source, model.place, "exec"), module.__dict__)
        return module.__dict__[model.function]  # type: ignore[no-any-return]
    except Exception as problem:
        line = (str(problem).splitlines() or [""])[0]
        raise DefinitionError(f"[model] build: {model.shown} raised {type(problem).__name__}: {line}") from problem


def _variables(network: Any) -> list[Any]:
    return [*network.trainable_variables, *network.non_trainable_variables]


def _slow_in_xla(layer: Any) -> bool:
    """Whether XLA is slow at the layer on a CPU: convolutions, and random numbers (docs/models.md has the times)."""
    return isinstance(layer, CONVOLUTIONS) or getattr(layer, "seed_generator", None) is not None


def _is_softmax(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) is keras.activations.softmax
