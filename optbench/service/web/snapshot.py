"""What the page and the metrics show, read in one go and kept for a moment, however many people and programs ask."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from optbench.storage import Storage, StudyRecord, studies
from optbench.storage.candidates import Candidate, QueueState, candidates
from optbench.storage.event_log import EventRecord, recent_events
from optbench.storage.liveness import clock
from optbench.storage.pool import PoolRecord, pool_workers

KEPT_SECONDS = 3.0
EVENTS = 20


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The studies, the queue, the workers and the newest events of one moment. `now` is the database's clock."""

    studies: Sequence[StudyRecord]
    queue: Sequence[Candidate]
    workers: Sequence[PoolRecord]
    events: Sequence[EventRecord]
    now: datetime
    seconds: float  # that it took to read

    @cached_property
    def places(self) -> Mapping[int, Candidate]:
        """The studies in the queue, by id."""
        return {one.place.study_id: one for one in self.queue}

    @property
    def waiting(self) -> Sequence[Candidate]:
        """The studies that wait for a worker."""
        return [one for one in self.queue if one.state is QueueState.WAITING]

    @property
    def oldest_wait(self) -> float:
        """For how many seconds the study that was asked for first has waited; 0 if none waits."""
        return max(((self.now - one.place.asked).total_seconds() for one in self.waiting), default=0.0)


class Snapshots:
    """Reads a snapshot if the last one is too old. Of several threads that ask, one reads."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self.storage, self.clock, self.lock = storage, clock, threading.Lock()
        self.last: tuple[float, Snapshot] | None = None

    def get(self) -> Snapshot:
        """What the database holds now, or held a moment ago. Raises StorageError."""
        with self.lock:
            if self.last is None or self.clock() - self.last[0] >= KEPT_SECONDS:
                self.last = self.clock(), read(self.storage)
            return self.last[1]

    def forget(self) -> None:
        """Read again when somebody asks next, because something was changed."""
        self.last = None


def read(storage: Storage) -> Snapshot:
    """What the database holds now. Raises StorageError."""
    began = time.monotonic()
    return Snapshot(
        studies=studies(storage),
        queue=storage.read(candidates),
        workers=pool_workers(storage),
        events=recent_events(storage, count=EVENTS),
        now=storage.read(clock),
        seconds=time.monotonic() - began,
    )
