"""What answers hold, as pydantic models. The OpenAPI document is made from them, and tests hold every answer to it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from optbench.scheduler.states import Need, State, StudyState, Wish
from optbench.service.web.bodies import Table
from optbench.storage.candidates import QueueState
from optbench.storage.event_log import EventKind
from optbench.storage.pool import PoolState


class Problem(BaseModel):
    """Why a request was not carried out, in one line."""

    error: str


class Declined(BaseModel):
    """How many workers cannot run a study and left it to others since it was last asked for, and why the last did."""

    workers: int
    reason: str


class Place(BaseModel):
    """A study's place in the queue. `declined` is null unless it waits and workers left it to others."""

    study: str
    state: QueueState | Literal[StudyState.DONE]
    wish: Wish
    priority: int
    finished: int
    running: int
    total: int | None
    workers: int
    max_workers: int | None
    best: float | None
    label: str | None
    needs: Need | None
    owner: str
    submitted: datetime
    problem: str | None
    declined: Declined | None


class Finalist(BaseModel):
    """One finalist, with its scores by seed."""

    model_config = ConfigDict(extra="allow")
    trial: int
    scores: dict[str, float | None]
    rounds: int


class Finals(BaseModel):
    """The finals of a search."""

    study: str
    done: bool
    finished: int
    total: int | None
    finalists: list[Finalist]


class Study(BaseModel):
    """A study; `queue` is its place there, null if it is finished or runs by hand."""

    name: str
    sweep: str | None
    optimizer: str
    state: StudyState | QueueState
    owner: str | None
    tags: list[str]
    note: str | None
    total: int | None
    trials: dict[State, int]
    metric: str
    best: float | None
    finals: Finals | None
    epochs: int
    changed: datetime | None
    definition: Table | None
    fingerprint: Table
    versions: dict[str, str]
    queue: Place | None


class Trial(BaseModel):
    """A trial. Accuracies are fractions."""

    model_config = ConfigDict(extra="allow")
    number: int
    state: State
    value: float | None
    last: float | None
    optimizer: str
    params: Table
    hyperparameters: Table
    seed: int | None
    epochs: int
    reason: str | None
    started: datetime | None
    ended: datetime | None
    seconds: float
    worker: str | None


class StudyWorker(BaseModel):
    """A worker of a study."""

    name: str
    host: str
    process: int
    heartbeat_age: float
    timeout: int
    alive: bool


class ShownStudy(Study):
    """A study with its best and unfinished trials and its workers."""

    facts: Table | None
    top: list[Trial]
    unfinished: list[Trial]
    workers: list[StudyWorker]
    settings: list[Table] | None = None


class Submitted(BaseModel):
    """What became of a submission."""

    study: str = Field(description="The study's name.")
    made: bool = Field(description="Whether the study is new.")
    added: bool = Field(description="Whether this request put it into the queue; false if it was there already.")
    queued: bool = Field(description="Whether it is in the queue now.")
    finished: bool = Field(description="Whether all of its trials are finished, so that it is not in the queue.")
    owner: str = Field(description="Whose submission it is: the name of the token.")


class Event(BaseModel):
    """Something that happened."""

    id: int
    at: datetime
    kind: EventKind
    study: str | None
    worker: str | None
    text: str


class Worker(BaseModel):
    """A worker of the pool."""

    name: str
    state: PoolState
    study: str | None
    host: str
    process: int
    label: str | None
    gpu: bool
    cores: int
    started: datetime
    heartbeat_age: float
    timeout: int
    draining: bool


class Studies(RootModel[list[Study]]):
    """Studies, oldest first."""


class Trials(RootModel[list[Trial]]):
    """Trials, by number."""


class Events(RootModel[list[Event]]):
    """Events, newest last."""


class Workers(RootModel[list[Worker]]):
    """Workers, by name."""
