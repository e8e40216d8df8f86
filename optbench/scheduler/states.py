"""The states of a trial, what is decided about it after an epoch, how it ends, and what it is scored by."""

import enum
from dataclasses import dataclass

STOPPED = "interrupted"  # the reason of a trial that Ctrl-C or SIGTERM ended


class State(enum.StrEnum):
    """A trial's state as people see it.

    COMPLETE, PRUNED and DIVERGED are results and count towards a study's total. An INTERRUPTED trial was ended by
    Ctrl-C or SIGTERM, or its worker died. A FAILED trial crashed its worker. The slots of both are trained again. A
    WAITING trial was enqueued by another program and never runs.
    """

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    WAITING = "waiting"


class StudyState(enum.StrEnum):
    """A study's state: RUNNING has live workers, DONE has its total of trials, INTERRUPTED has neither."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


class Wish(enum.StrEnum):
    """What people want of a study in the queue. It is all that is stored: every state follows from it and the trials.

    RUN: workers train it. PAUSE: running trials finish, and no others start. STOP: running trials end as interrupted.
    """

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"


class Need(enum.StrEnum):
    """What a study's workers must have."""

    GPU = "gpu"


class Role(enum.StrEnum):
    """What a study is for.

    A SEARCH draws hyperparameters and selects by validation examples. A FIXED study trains the list of its file. A
    CONFIRMATION trains the best configurations of a search again, on fresh seeds and all training examples, and scores
    them on the test set. FINALS train them again with validation examples, to choose the best one of the search.
    """

    SEARCH = "search"
    FIXED = "fixed"
    CONFIRMATION = "confirmation"
    FINALS = "finals"


class Decision(enum.StrEnum):
    """What becomes of a trial after an epoch."""

    CONTINUE = "continue"
    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"


class Metric(enum.StrEnum):
    """What a study's trials are scored by: validation examples where something is selected, test examples otherwise."""

    VALIDATION_ACCURACY = "validation accuracy"
    TEST_ACCURACY = "test accuracy"


@dataclass(frozen=True)
class Ending:
    """How a trial ends, and after how many epochs.

    `reason` says why an interrupted or failed trial ended. If `tested` is true, the value is a test-set accuracy.
    """

    decision: Decision
    value: float | None
    epochs: int
    reason: str | None = None
    tested: bool = False
