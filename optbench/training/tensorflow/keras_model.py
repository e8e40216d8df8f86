"""A network that a person's own function makes: any Keras model from one input to logits."""

import json
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import lru_cache
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optbench.data.dataset import Facts
from optbench.definition.network import BuiltModel
from optbench.errors import DefinitionError
from optbench.randomness import Purpose, generator
from optbench.training.order import Array
from optbench.training.tensorflow.device import device
from optbench.training.tensorflow.dropout import Dropout
from optbench.training.tensorflow.faults import fault, first_line, in_xla, variables_of
from optbench.training.tensorflow.network import Forward, Tensor, Variable

CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D, keras.layers.SeparableConv2D,
)  # fmt: skip


class KerasModel:
    """The networks that a function makes, one for each trial. A first one tells what all of them have in common."""

    dropout = 0.0  # the function has dropout layers of its own

    def __init__(self, model: BuiltModel, facts: Facts) -> None:
        """Raises DefinitionError, in one line, for a function that fails or makes something else."""
        self.model, self.shape, self.classes = model, facts.shape, len(facts.classes)
        self.function = _function(model)
        self.network = self._made(seed=0)
        if problem := fault(self.network, self._made, self.shape, self.classes):
            raise self._error(problem)
        trained, others = self.network.trainable_variables, self.network.non_trainable_variables
        self.variables = [Variable(tuple(v.shape), str(v.dtype)) for v in trained]
        self.variables += [Variable(tuple(v.shape), str(v.dtype), trained=False) for v in others]
        slow = device() == "CPU" and any(map(_slow_in_xla, self.network._flatten_layers()))
        self.xla = not slow and in_xla(self.network, self.shape)

    @property
    def inputs(self) -> int:
        """The number of features of one input."""
        return int(np.prod(self.shape))

    def initial(self, seed: int) -> list[Array]:
        """See Network."""
        return [np.asarray(variable) for variable in variables_of(self._made(seed))]

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
        mapping = list(zip(variables_of(self.network), values, strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            logits = self.network(tf.reshape(inputs, (-1, *self.shape)), training=training)
            losses = self.network.losses
        after = [(scope.get_current_value(variable), value) for variable, value in mapping]
        others = [value if now is None else now for now, value in after[len(self.network.trainable_variables) :]]
        return Forward(logits, others, tf.add_n(losses) if losses else tf.constant(0.0))

    def layers(self, values: Sequence[Array], dropout: float = 0.0, seed: int = 0) -> list[Any]:
        """See Network; dropout layers have the seeds that they were made with."""
        network = self._made(seed=0)
        for variable, value in zip(variables_of(network), values, strict=True):
            variable.assign(value)
        return [keras.layers.Reshape(self.shape), network]

    def values(self, layers: Sequence[Any]) -> list[Array]:
        """See Network."""
        return [np.asarray(variable) for variable in variables_of(layers[-1])]

    def _made(self, seed: int) -> Any:
        """A network whose initial weights, and random numbers in training, the seed decides.

        Keras draws the seeds of initializers and of dropout from Python's random numbers.
        """
        before, drawn = random.getstate(), generator(Purpose.WEIGHTS, seed)
        random.seed(int(drawn.integers(2**63)))
        try:
            with redirect_stdout(sys.stderr):  # standard output may be JSON
                network = self.function(self.shape, self.classes, **self.model.arguments)
                if isinstance(network, keras.Model) and not network.built:
                    network(keras.KerasTensor((None, *self.shape)))
            return network
        except (Exception, SystemExit) as problem:
            raise self._error(f"raised {type(problem).__name__}: {first_line(problem)}") from problem
        finally:
            random.setstate(before)

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
        with redirect_stdout(sys.stderr):
            exec(compile(model.source, model.place, "exec"), module.__dict__)
        return module.__dict__[model.function]  # type: ignore[no-any-return]
    except (Exception, SystemExit) as problem:
        what = f"raised {type(problem).__name__}: {first_line(problem)}"
        raise DefinitionError(f"[model] build: {model.shown} {what}") from problem


def _slow_in_xla(layer: Any) -> bool:
    """Whether XLA is slow at the layer on a CPU: convolutions take several times as long, random numbers ten times."""
    return isinstance(layer, CONVOLUTIONS) or bool(getattr(layer, "_seed_generators", ()))
