"""What a trainer is: the job that it is given, and what it reports of every epoch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from optbench.data.dataset import Examples
from optbench.optimizers import NUMERICS


@dataclass(frozen=True)
class Job:
    """One trial to train. Its results depend only on the job, the data, the model and the trainer's batch size.

    `hparams` may have knobs (see `optbench.optimizers.knobs`), among them a batch size of its own. `epochs` is how many
    are planned, which a schedule goes by; a trial that is pruned is trained for fewer.

    `numerics` is the version of the arithmetic with which it was first trained (see `optbench.optimizers.precision`).
    """

    number: int
    optimizer: str
    hparams: Mapping[str, float]
    seed: int
    epochs: int
    numerics: int = NUMERICS


@dataclass(frozen=True)
class Epoch:
    """Mean loss and accuracy of an epoch: over the training batches during it, on the validation examples after it.

    `effective_lr` is the median over the weights of the effective learning rate after the epoch (see
    `optbench.optimizers.contract.Rule`), and `weight_distance` the Euclidean distance of all weights from their initial
    values; None if the trainer does not measure them. `chance` is the accuracy of guessing, which is the value of a
    trial that diverged.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    chance: float
    effective_lr: float | None = None
    weight_distance: float | None = None

    @property
    def finite(self) -> bool:
        """Whether the losses are finite. The accuracy is finite even after divergence, so it does not show it."""
        return math.isfinite(self.train_loss) and math.isfinite(self.validation_loss or 0.0)

    @property
    def objective(self) -> float:
        """The validation accuracy, or the training accuracy if there are no validation examples.

        Chance level once the network has diverged.
        """
        if not self.finite:
            return self.chance
        return self.train_accuracy if self.validation_accuracy is None else self.validation_accuracy


class Trainer(Protocol):
    """Trains up to `lanes` jobs side by side, one epoch of all of them at a time.

    A job gives the same numbers in any lane, alone or among others, the first time or replayed. If the split that the
    trainer was made with has a `pool`, each job trains and validates on `split.of(job.seed)`.
    `optbench.testing.trainers` tests all of this for any trainer.
    """

    name: str
    lanes: int
    device: str
    threads: int | None  # that share an operation, which may decide the last digits; None if nobody chose
    xla: bool | None  # whether XLA compiles the training; None if Keras decides

    def assign(self, lane: int, job: Job) -> None:
        """Start `job` in a free lane, from its own initial weights."""

    def release(self, lane: int) -> None:
        """Free the lane."""

    def train(self) -> dict[int, Epoch]:
        """One more epoch of every assigned job, by lane; nothing if no lane is taken."""

    def test(self, lane: int, examples: Examples) -> float:
        """The present accuracy of the lane's network on other examples."""

    def weights(self, lane: int) -> list[np.ndarray[Any, np.dtype[Any]]]:
        """The present values of the network's variables, those that are trained first.

        Of dense layers: kernel and bias of each layer in turn, float32.
        """
