"""A network that a person's own function makes: any Keras model from one input to logits."""

import json
import random
import sys
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
from optbench.training.tensorflow.dropout import Dropout
from optbench.training.tensorflow.network import Forward, Tensor, Variable

CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D, keras.layers.SeparableConv2D,
)  # fmt: skip


class KerasModel:
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

    dropout = 0.0

    def forward(
        self,
        weights: Sequence[Tensor],
        others: Sequence[Tensor],
        inputs: Tensor,
        training: bool,
        dropout: Dropout | None = None,
    ) -> Forward:
        """See Network; each of the W networks passes by itself, with dropout layers of its own."""
        passes = [
            self._pass(
                [v[lane] for v in (*weights, *others)], inputs[lane] if len(inputs.shape) == 3 else inputs, training
            )
            for lane in range(weights[0].shape[0])
        ]
        after = [tf.stack(values) for values in zip(*(one.others for one in passes), strict=True)]
        return Forward(tf.stack([one.logits for one in passes]), after, tf.stack([one.penalties for one in passes]))

    def _pass(self, values: Sequence[Tensor], inputs: Tensor, training: bool) -> Forward:
        """The pass of one network; its variables have these values.

        `stateless_call` is not used, because it calls a subclassed model without the context that tells the layers
        inside it whether they are trained.
        """
        mapping = list(zip(_variables(self.network), values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            logits = self.network(tf.reshape(inputs, (-1, *self.shape)), training=training)
            losses = self.network.losses
        after = [(scope.get_current_value(variable), value) for variable, value in mapping]
        others = [value if now is None else now for now, value in after[len(self.network.trainable_variables) :]]
        return Forward(logits, others, tf.add_n(losses) if losses else tf.constant(0.0))

    def layers(self, values: Sequence[Array], dropout: float = 0.0, seed: int = 0) -> list[Any]:
        """See Network; dropout layers have the seeds that they were made with."""
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
            network = self.function(self.shape, self.classes, **self.model.arguments)
            if isinstance(network, keras.Model) and not network.built:
                network(keras.KerasTensor((None, *self.shape)))
            return network
        except Exception as problem:
            raise self._error(f"raised {type(problem).__name__}: {_first_line(problem)}") from problem
        finally:
            random.setstate(before)

    def _check(self) -> None:
        """Raise DefinitionError for a network that lanes would train wrongly, or not at all."""
        network = self.network
        if not isinstance(network, keras.Model):
            raise self._error(f"returned {type(network).__name__}; expected a keras.Model")
        if network.compiled:
            raise self._error("returned a compiled model; expected one without compile(): optbench trains it")
        for method in ("train_step", "compute_loss"):
            if getattr(type(network), method) is not getattr(keras.Model, method):
                raise self._error(f"returned a model with a {method} of its own; expected the usual one")
        self._check_variables()
        self._check_shapes()
        again = self._made(seed=0)
        if not all(np.array_equal(*pair) for pair in zip(_variables(network), _variables(again), strict=True)):
            raise self._error(
                "made other initial values the second time; expected random numbers only from Keras' layers"
            )

    def _check_variables(self) -> None:
        weights = self.network.trainable_variables
        count = sum(int(np.prod(v.shape)) for v in weights)
        if not 0 < count <= MAX_WEIGHTS:
            raise self._error(f"has {count:,} weights; expected 1 to {MAX_WEIGHTS:,}")
        if types := {str(v.dtype) for v in weights} - {"float32"}:
            raise self._error(f"has weights of type {types.pop()}; expected float32")
        if any(getattr(v, "constraint", None) is not None for v in weights):
            raise self._error("has a constraint on its weights, which lanes do not apply; expected none")

    def _check_shapes(self) -> None:
        given = getattr(self.network, "inputs", None)
        if given is not None and (len(given) != 1 or given[0].shape[1:] != self.shape):
            shapes = ", ".join(str(one.shape[1:]) for one in given)
            raise self._error(f"takes inputs of shape {shapes}; expected one of shape {self.shape}")
        inputs = np.random.default_rng(0).normal(size=(4, *self.shape)).astype(np.float32)
        try:
            logits = np.asarray(self.network(inputs, training=False))
        except Exception as problem:
            raise self._error(f"raised {type(problem).__name__}: {_first_line(problem)}") from problem
        if logits.shape != (4, self.classes):
            raise self._error(
                f"returns shape {logits.shape} for 4 inputs; expected logits of shape (4, {self.classes})"
            )
        if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
            raise self._error("ends with a softmax; expected logits: leave the last activation out")

    def _error(self, what: str) -> DefinitionError:
        return DefinitionError(f"[model] build: {self.model.shown} {what}")


def keras_model(model: BuiltModel, facts: Facts) -> KerasModel:
    """The networks of the function on a data set; the same object again for the same function, shape and classes."""
    return _kept(model.build, model.source, json.dumps(model.arguments, sort_keys=True), facts.shape, facts.classes)


@lru_cache(maxsize=4)
def _kept(build: str, source: str, arguments: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> KerasModel:
    return KerasModel(BuiltModel(build, source, json.loads(arguments)), Facts(shape, classes, 0))


def _function(model: BuiltModel) -> Callable[..., Any]:
    """The function, after running the source as a module. Raises DefinitionError.

    The caller has checked that it may run here (see optbench.worker.code).
    """
    module = ModuleType(f"optbench_model_{model.sha256}")
    module.__file__ = model.place
    if model.file is None:
        module.__package__ = model.place.rpartition(".")[0]  # for its relative imports
    sys.modules[module.__name__] = module  # where dataclasses look their types up
    try:
        exec(compile(model.source, model.place, "exec"), module.__dict__)
        return module.__dict__[model.function]  # type: ignore[no-any-return]
    except Exception as problem:
        what = f"raised {type(problem).__name__}: {_first_line(problem)}"
        raise DefinitionError(f"[model] build: {model.shown} {what}") from problem


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [""])[0]


def _variables(network: Any) -> list[Any]:
    return [*network.trainable_variables, *network.non_trainable_variables]


def _slow_in_xla(layer: Any) -> bool:
    """Whether XLA is slow at the layer on a CPU: convolutions take several times as long, random numbers ten times."""
    return isinstance(layer, CONVOLUTIONS) or bool(getattr(layer, "_seed_generators", ()))
