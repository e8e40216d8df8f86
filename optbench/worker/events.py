"""The typed events that a worker reports while it trains a study, for listeners that show, log or count them."""

from dataclasses import dataclass
from typing import Protocol

from optbench.scheduler.states import Ending
from optbench.training.contract import Epoch, Job


@dataclass(frozen=True)
class StudyOpened:
    """The worker has joined the study, which has `finished` of its `total` trials."""

    study: str
    total: int
    finished: int


@dataclass(frozen=True)
class TrialStarted:
    """The trial was assigned to a lane."""

    job: Job
    lane: int


@dataclass(frozen=True)
class EpochFinished:
    """A running trial has trained one more epoch."""

    number: int
    epoch: Epoch


@dataclass(frozen=True)
class TrialFinished:
    """The trial has ended and is stored: complete, pruned, diverged, or interrupted because the worker stops."""

    number: int
    ending: Ending


@dataclass(frozen=True)
class TrialLost:
    """The trial is no longer this worker's.

    Another program ended or deleted it, or another worker took it over after this one's heartbeat timed out.
    """

    number: int


@dataclass(frozen=True)
class RoundFinished:
    """Every running trial has trained an epoch, and all epochs are stored."""


@dataclass(frozen=True)
class Waiting:
    """Every trial is finished or running elsewhere. The worker waits, to take over trials if other workers die."""


@dataclass(frozen=True)
class StorageOutage:
    """The database does not answer; the worker tries again for `patience` seconds."""

    problem: str
    patience: float


@dataclass(frozen=True)
class StorageRecovered:
    """The database answers again, after this many seconds."""

    seconds: float


@dataclass(frozen=True)
class StudyLeft:
    """The worker has left the study, which has its total, or was asked to stop."""

    study: str


Event = (
    StudyOpened
    | TrialStarted
    | EpochFinished
    | TrialFinished
    | TrialLost
    | RoundFinished
    | Waiting
    | StorageOutage
    | StorageRecovered
    | StudyLeft
)


class Listener(Protocol):
    """Called with every event, in order, on the worker's thread. It should return quickly and not raise."""

    def __call__(self, event: Event) -> None: ...
