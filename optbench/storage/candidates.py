"""The studies in the queue that want workers, and which of them comes first."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.scheduler.states import State, Wish
from optbench.storage.event_log import declines
from optbench.storage.liveness import clock, lives
from optbench.storage.queue import Place, read_places
from optbench.storage.schema import pool
from optbench.storage.study_reader import read_records
from optbench.storage.study_records import StudyRecord
from optbench.storage.worker_names import series_of


class QueueState(enum.StrEnum):
    """The state of a study in the queue, which follows from the wish, the trials and the workers."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Declined:
    """How many workers cannot run a study and left it to others since it was last asked for, and why the last did."""

    workers: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A study in the queue, with what decides whether a worker takes it.

    `declined` is only read for people, of studies that wait (see `read_queue`).
    """

    place: Place
    record: StudyRecord
    workers: int  # of the pool that train it
    declined: Declined | None = None

    @property
    def state(self) -> QueueState:
        """What becomes of the study now."""
        runs = bool(self.record.counts[State.RUNNING])
        match self.place.wish:
            case Wish.PAUSE:
                return QueueState.PAUSING if runs else QueueState.PAUSED
            case Wish.STOP:
                return QueueState.STOPPING if runs else QueueState.STOPPED
        if self.place.problem is not None:
            return QueueState.FAILED
        return QueueState.RUNNING if runs or self.workers or self.record.workers else QueueState.WAITING

    @property
    def finished(self) -> bool:
        """Whether all of its trials are finished."""
        return self.record.finished >= (self.record.total or 0)

    @property
    def wanted(self) -> bool:
        """Whether one more worker can do something now: train a free trial, or conclude the study."""
        return self.wants > 0

    @property
    def wants(self) -> int:
        """How many more workers can do something now. A finished study is concluded, even if it is paused."""
        if self.finished and self.place.problem is None:
            return int(min(self._room, 1))
        return int(min(self._room, self.record.free_slots)) if self.place.runs else 0

    @property
    def _room(self) -> float:
        """How many more workers it may have."""
        maximum = self.place.max_workers
        return math.inf if maximum is None else maximum - self.workers


def candidates(session: Session, found: Sequence[Place]) -> list[Candidate]:
    """The studies at these places of the queue, each with its record and the live workers of the pool that train it."""
    if not found:
        return []
    now, busy = clock(session), dict[int, int]()
    for row in session.execute(select(pool.c.study_id, pool.c.heartbeat, pool.c.timeout)):
        if row.study_id is not None and lives(row, now):
            busy[row.study_id] = busy.get(row.study_id, 0) + 1
    records = {record.study_id: record for record in read_records(session, [place.study_id for place in found])}
    return [
        Candidate(place=place, record=records[place.study_id], workers=busy.get(place.study_id, 0))
        for place in found
        if place.study_id in records  # it was not deleted in between
    ]


def read_queue(session: Session) -> list[Candidate]:
    """The whole queue, in its order, as people see it: the studies that wait, with who declined them."""
    made = candidates(session, read_places(session))
    found = declines(session, {one.place.study: one.place.asked for one in made if one.state is QueueState.WAITING})
    declined = {
        study: Declined(workers=len({series_of(worker) for worker, _ in left}), reason=left[-1][1])
        for study, left in found.items()
        if left
    }
    return [replace(one, declined=declined.get(one.place.study)) for one in made]


def in_order(one: Candidate) -> tuple[float, ...]:
    """The key by which candidates are sorted: smaller is earlier.

    The highest priority comes first, then the fewest workers for their maximum, then the oldest.
    """
    fraction = one.workers / (one.place.max_workers or one.record.total or 1)
    return -one.place.priority, fraction, one.place.submitted.timestamp(), one.place.study_id
