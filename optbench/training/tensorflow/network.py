"""What lanes and the reference train: a network's variables, where they start, and its forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from optbench.training.order import Array
from optbench.training.tensorflow.dropout import Dropout

Tensor = Any


@dataclass(frozen=True)
class Variable:
    """A variable of a network: its shape, its type, and whether the optimizer trains it.

    The others change with training, too: running means of batches, and the seeds of dropout.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    trained: bool = True


class Forward(NamedTuple):
    """Logits [W, n, classes], the variables that are not trained after the pass, and penalties on the weights [W]."""

    logits: Tensor
    others: list[Tensor]
    penalties: Tensor


class Network(Protocol):
    """A network over one input. All `variables` come in one order: those that are trained first.

    `xla` is whether XLA compiles it well on this device. `dropout` is the rate after every hidden layer of a trial that
    has none of its own. Equal networks share what is compiled.
    """

    def __hash__(self) -> int: ...

    @property
    def inputs(self) -> int:
        """The number of features of one input."""

    @property
    def variables(self) -> Sequence[Variable]: ...

    @property
    def xla(self) -> bool: ...

    @property
    def dropout(self) -> float: ...

    def initial(self, seed: int) -> list[Array]:
        """The values that the variables of a trial with this seed start from."""

    def forward(
        self,
        weights: Sequence[Tensor],
        others: Sequence[Tensor],
        inputs: Tensor,
        training: bool,
        dropout: Dropout | None = None,
    ) -> Forward:
        """A pass of W networks, variables [W, ...], over scaled inputs, [n, features] for all or [W, n, features]."""

    def layers(self, values: Sequence[Array], dropout: float = 0.0, seed: int = 0) -> list[Any]:
        """Keras layers, built, with these values of the variables: from scaled inputs [n, features] to logits.

        The seed decides what they drop out in training.
        """

    def values(self, layers: Sequence[Any]) -> list[Array]:
        """The present values of the variables in such layers."""
