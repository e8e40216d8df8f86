"""What the page and the metrics show: several reads, one after another, which are kept for a moment (see kept.py)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from optbench.service.web.kept import Kept
from optbench.storage import Storage, StudyRecord, studies
from optbench.storage.candidates import Candidate, QueueState, read_queue
from optbench.storage.event_log import EventRecord, recent_events
from optbench.storage.liveness import clock
from optbench.storage.pool import PoolRecord, pool_workers

EVENTS = 20


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The studies, the queue, the workers and the newest events, read shortly one after another.

    `now` is the database's clock after that.
    """

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
        """The seconds since the longest-waiting study was submitted or resumed; 0 if none waits."""
        return max(((self.now - one.place.asked).total_seconds() for one in self.waiting), default=0.0)


class Snapshots(Kept[Snapshot]):
    """The last snapshot of a database."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(lambda: read(storage), clock)


def read(storage: Storage) -> Snapshot:
    """What the database holds now, in five reads. Raises StorageError."""
    began = time.monotonic()
    return Snapshot(
        studies=studies(storage),
        queue=storage.read(read_queue),
        workers=pool_workers(storage),
        events=recent_events(storage, count=EVENTS),
        now=storage.read(clock),
        seconds=time.monotonic() - began,
    )
