"""The words that everyone shares: what a trainer is given, what it gives back, and what is decided about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from optbench.scheduler.states import Decision, Ending

__all__ = ["CHANCE", "STOPPED", "Decision", "Ending", "Epoch", "Images", "Job", "Split", "Trainer"]

STOPPED = "interrupted"  # the reason of a trial that Ctrl-C or SIGTERM ended
CHANCE = 0.1  # the accuracy of guessing among ten classes: what a diverged trial is worth


@dataclass(frozen=True)
class Images:
    """Pixels as uint8 [n, 784] and labels as int32 [n] in 0..9."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int32]]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Split:
    """What a search may see: training and validation images (None: train on all), and digests of data and split."""

    train: Images
    validation: Images | None
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """One trial to train: everything its numbers depend on but the data, the model and the batch size."""

    number: int
    optimizer: str
    hparams: Mapping[str, float]
    seed: int
    epochs: int


@dataclass(frozen=True)
class Epoch:
    """Mean loss and accuracy of an epoch: over its training batches as they come, and on validation images after it.

    `effective_lr` is the median over the weights of the effective learning rate after the epoch (see rules.Rule), and
    `weight_distance` the Euclidean distance of all weights from their start; None if the trainer does not measure them.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    effective_lr: float | None = None
    weight_distance: float | None = None

    @property
    def finite(self) -> bool:
        """Whether the losses are numbers. Accuracy stays finite when a network diverges, so it says nothing."""
        return math.isfinite(self.train_loss) and math.isfinite(self.validation_loss or 0.0)

    @property
    def objective(self) -> float:
        """What the learning curve shows: validation accuracy, or training accuracy where nothing is validated.

        Chance level once the network has diverged.
        """
        if not self.finite:
            return CHANCE
        return self.train_accuracy if self.validation_accuracy is None else self.validation_accuracy


class Trainer(Protocol):
    """Trains up to `lanes` jobs side by side, an epoch of all of them at a time.

    A job gives the same numbers in any lane, whatever its neighbours do, alone or replayed.
    """

    name: str
    lanes: int
    device: str

    def assign(self, lane: int, job: Job) -> None:
        """Start `job` in a free lane, from its own initial weights."""

    def release(self, lane: int) -> None:
        """Free the lane."""

    def train(self) -> dict[int, Epoch]:
        """One more epoch of every assigned job, by lane."""

    def test(self, lane: int, images: Images) -> float:
        """The accuracy of the lane's network on other images, as it is now."""

    def weights(self, lane: int) -> list[np.ndarray[Any, np.dtype[Any]]]:
        """The lane's network as it is now: kernel and bias of each layer in turn, float32."""
