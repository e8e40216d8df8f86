"""The pool: the long-lived workers that take studies from the queue."""

import enum
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from optbench.errors import StudyError, nearest
from optbench.scheduler.states import Need
from optbench.storage.candidates import Candidate, candidates, in_order
from optbench.storage.engine import Storage
from optbench.storage.event_log import EventKind, note
from optbench.storage.queue import Place, read_places
from optbench.storage.schema import pool, queue
from optbench.storage.workers import HEARTBEAT_TIMEOUT, clock, lives


class PoolState(enum.StrEnum):
    """What a worker of the pool does."""

    IDLE = "idle"
    TRAINING = "training"
    DRAINING = "draining"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True)
class PoolRecord:
    """A worker of the pool, by the database's clock in UTC. `study` is the one that it trains; None if it is idle."""

    name: str
    host: str
    process: int
    label: str | None
    gpu: bool
    cores: int
    started: datetime
    heartbeat_age: float
    timeout: int
    draining: bool
    study: str | None

    @property
    def state(self) -> PoolState:
        """What the worker does, as far as its heartbeats tell."""
        if not self.alive:
            return PoolState.LOST
        if self.draining:
            return PoolState.DRAINING
        return PoolState.IDLE if self.study is None else PoolState.TRAINING

    @property
    def alive(self) -> bool:
        """Whether its last heartbeat is younger than its timeout."""
        return abs(self.heartbeat_age) < self.timeout


class PoolWorker:
    """One worker of the pool, as the database knows it.

    Studies that it has declined are those that it cannot run: they are left to others until they are asked for again.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        label: str | None,
        gpu: bool,
        cores: int,
        heartbeat_timeout: int = HEARTBEAT_TIMEOUT,
    ) -> None:
        self.storage, self.label, self.gpu, self.cores = storage, label, gpu, cores
        self.heartbeat_timeout = heartbeat_timeout
        self.name = f"{socket.gethostname()[:200]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.study_id: int | None = None
        self.declined: dict[int, datetime] = {}  # when the study was last asked for, by its id

    def heartbeat(self) -> None:
        """Write a heartbeat, and remove the dead workers of the pool. Does not wait for the end of an outage."""

        def work(session: Session) -> None:
            now = clock(session)
            mine = update(pool).where(pool.c.worker == self.name).values(heartbeat=now, study_id=self.study_id)
            if not session.execute(mine).rowcount:  # type: ignore[attr-defined]
                self._enter(session, now)
            for row in session.execute(select(pool).where(pool.c.worker != self.name)).all():
                if not lives(row, now):
                    unchanged = pool.c.worker == row.worker, pool.c.heartbeat == row.heartbeat
                    if session.execute(delete(pool).where(*unchanged)).rowcount:  # type: ignore[attr-defined]
                        note(session, EventKind.WORKER_LOST, "its heartbeats stopped", worker=row.worker)

        self.storage.write(work, patient=False)

    def leave(self) -> None:
        """Remove this worker. Does not wait for the end of an outage."""

        def work(session: Session) -> None:
            if session.execute(delete(pool).where(pool.c.worker == self.name)).rowcount:  # type: ignore[attr-defined]
                note(session, EventKind.WORKER_ENDED, "in order", worker=self.name)

        self.storage.write(work, patient=False)

    def take(self) -> Candidate | None:
        """The study that this worker takes from the queue; None if nothing there wants it."""

        def work(session: Session) -> Candidate | None:
            for one in self._fitting(session):
                # Of several workers that want the last place, one gets it: the others count again after it.
                session.execute(
                    select(queue.c.study_id).where(queue.c.study_id == one.place.study_id).with_for_update()
                )
                again = next((now for now in self._fitting(session) if now.place.study_id == one.place.study_id), None)
                if again is not None:
                    self.study_id = again.place.study_id
                    session.execute(update(pool).where(pool.c.worker == self.name).values(study_id=self.study_id))
                    note(session, EventKind.TAKEN, "", study=again.place.study, worker=self.name)
                    return again
            return None

        self.study_id = None
        if not self.storage.read(self._fitting):
            return None
        return self.storage.write(work)

    def release(self) -> None:
        """Note that this worker trains no study now."""

        def work(session: Session) -> None:
            session.execute(update(pool).where(pool.c.worker == self.name).values(study_id=None))

        self.study_id = None
        self.storage.write(work)

    def decline(self, place: Place, why: str) -> None:
        """Leave the study to others until it is submitted or resumed, and say why, once."""
        self.declined[place.study_id] = place.asked
        self.storage.write(lambda session: note(session, EventKind.DECLINED, why, study=place.study, worker=self.name))

    def should_leave(self) -> bool:
        """Whether this worker was asked to drain, or a study of a higher priority than its own waits for it."""

        def work(session: Session) -> bool:
            if session.scalar(select(pool.c.draining).where(pool.c.worker == self.name)):
                return True
            found = read_places(session)
            own = next((place for place in found if place.study_id == self.study_id), None)
            if own is None:
                return False
            # Every worker asks this every two seconds, so the trials of studies are counted only if it matters.
            least = own.submission.priority
            higher = [p for p in found if p.submission.priority > least and p.runs and self._fits(p)]
            return any(one.wanted for one in candidates(session, higher))

        return self.storage.read(work)

    def idle(self) -> bool:
        """Whether no study may need this worker, not even to take over the trials of a worker that dies."""
        return not self.storage.read(self._open)

    def draining(self) -> bool:
        """Whether this worker was asked to drain."""
        query = select(pool.c.draining).where(pool.c.worker == self.name)
        return bool(self.storage.read(lambda session: session.scalar(query)))

    def _enter(self, session: Session, now: datetime) -> None:
        session.execute(
            insert(pool).values(
                worker=self.name,
                host=socket.gethostname()[:255],
                process=os.getpid(),
                label=self.label,
                gpu=self.gpu,
                cores=self.cores,
                started=now,
                heartbeat=now,
                timeout=self.heartbeat_timeout,
                draining=False,
                study_id=self.study_id,
            )
        )
        note(session, EventKind.WORKER_STARTED, f"label {self.label}" if self.label else "", worker=self.name)

    def _fitting(self, session: Session) -> list[Candidate]:
        """The studies that want one more worker and that this worker can train, first choice first."""
        return sorted((one for one in self._open(session) if one.wanted), key=in_order)

    def _open(self, session: Session) -> list[Candidate]:
        """The studies that this worker may train."""
        fitting = [place for place in read_places(session) if place.runs and self._fits(place)]
        return [one for one in candidates(session, fitting) if one.open]

    def _fits(self, place: Place) -> bool:
        able = place.submission.needs is not Need.GPU or self.gpu
        declined = self.declined.get(place.study_id) == place.asked
        return place.submission.label == self.label and able and not declined


def pool_workers(storage: Storage) -> list[PoolRecord]:
    """The workers of the pool, by name."""

    def work(session: Session) -> list[PoolRecord]:
        now = clock(session)
        names = {place.study_id: place.study for place in read_places(session)}
        return [
            PoolRecord(
                name=row.worker,
                host=row.host,
                process=row.process,
                label=row.label,
                gpu=row.gpu,
                cores=row.cores,
                started=row.started,
                heartbeat_age=(now - row.heartbeat).total_seconds(),
                timeout=row.timeout,
                draining=row.draining,
                study=names.get(row.study_id),
            )
            for row in session.execute(select(pool).order_by(pool.c.worker))
        ]

    return storage.read(work)


def drain(storage: Storage, worker: str, by: str) -> None:
    """Ask a worker of the pool to finish its running trials and end. Raises StudyError if there is no such worker."""

    def work(session: Session) -> None:
        if not session.execute(update(pool).where(pool.c.worker == worker).values(draining=True)).rowcount:  # type: ignore[attr-defined]
            names = session.scalars(select(pool.c.worker)).all()
            raise StudyError(f"no worker {worker!r} in the pool; {nearest(worker, names)}")
        note(session, EventKind.DRAINING, f"by {by}", worker=worker)

    storage.write(work)
