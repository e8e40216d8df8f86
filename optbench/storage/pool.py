"""The pool: the long-lived workers that take studies from the queue."""

import enum
import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from optbench.defaults import HEARTBEAT_TIMEOUT
from optbench.errors import StudyError, nearest
from optbench.storage.engine import Storage
from optbench.storage.event_log import EventKind, note
from optbench.storage.liveness import Watch, clock, is_young
from optbench.storage.optuna_private import models
from optbench.storage.queue import read_places
from optbench.storage.schema import events, pool
from optbench.storage.worker_names import new_name


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
        return is_young(self.heartbeat_age, self.timeout)


class PoolWorker:
    """One worker of the pool, as the database knows it. `study_id` is the study that it trains; None if it is idle.

    `series` is what its name shares with the workers that its supervisor started before it; None begins a new one.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        label: str | None,
        gpu: bool,
        cores: int,
        heartbeat_timeout: int = HEARTBEAT_TIMEOUT,
        series: str | None = None,
    ) -> None:
        self.storage, self.label, self.gpu, self.cores = storage, label, gpu, cores
        self.heartbeat_timeout = heartbeat_timeout
        self.name = new_name(series)
        self.study_id: int | None = None
        self.drained = False  # whether it was seen to be draining, so that this outlasts the loss of its row
        self.watch = Watch(self.name, heartbeat_timeout)

    def heartbeat(self) -> None:
        """Write a heartbeat, and remove the dead workers of the pool. Does not wait for the end of an outage."""

        def work(session: Session) -> None:
            last = session.scalar(select(pool.c.heartbeat).where(pool.c.worker == self.name).with_for_update())
            now = clock(session)
            if last is None:
                self._enter(session, now)
            else:
                mine = update(pool).where(pool.c.worker == self.name)
                session.execute(mine.values(heartbeat=now, study_id=self.study_id))
                self.watch.beat((now - last).total_seconds())
            lost = _removed(session, self.watch.dead(session.execute(select(pool)).all(), now))
            if last is None:
                note(session, EventKind.WORKER_STARTED, f"label {self.label}" if self.label else "", worker=self.name)
            _note_lost(session, lost)

        self.storage.write(work, patient=False)

    def leave(self) -> None:
        """Remove this worker. Does not wait for the end of an outage."""

        def work(session: Session) -> None:
            if session.execute(delete(pool).where(pool.c.worker == self.name)).rowcount:  # type: ignore[attr-defined]
                note(session, EventKind.WORKER_ENDED, "stopped normally", worker=self.name)

        self.storage.write(work, patient=False)

    def draining(self) -> bool:
        """Whether this worker was asked to drain."""
        return self.storage.read(self.is_draining)

    def is_draining(self, session: Session) -> bool:
        """See `draining`."""
        self.drained |= bool(session.scalar(select(pool.c.draining).where(pool.c.worker == self.name)))
        return self.drained

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
                draining=self.drained,
                study_id=self.study_id,
            )
        )


class LostWorkers:
    """Removes the dead workers of the pool for a process that is none of them: the last one has no other worker."""

    def __init__(self, storage: Storage) -> None:
        self.storage, self.watch = storage, Watch(None, HEARTBEAT_TIMEOUT)

    def look(self) -> None:
        """Look once, of many times: less than half of a heartbeat timeout apart. Raises StorageError."""
        rows, now = self.storage.read(lambda session: (session.execute(select(pool)).all(), clock(session)))
        self.watch.timeout = min((row.timeout for row in rows), default=HEARTBEAT_TIMEOUT)
        self.watch.beat(0)
        if dead := self.watch.dead(rows, now):
            self.storage.write(lambda session: _note_lost(session, _removed(session, dead)))


def _removed(session: Session, dead: Sequence[Any]) -> list[Any]:
    """Those of the dead workers that were removed now: they have not come back, and nobody else removed them."""
    one = (delete(pool).where(pool.c.worker == row.worker, pool.c.heartbeat == row.heartbeat) for row in dead)
    return [row for row, query in zip(dead, one, strict=True) if session.execute(query).rowcount]  # type: ignore[attr-defined]


def _note_lost(session: Session, lost: Sequence[Any]) -> None:
    for row in lost:
        study = session.get(models.StudyModel, row.study_id) if row.study_id is not None else None
        name = None if study is None else study.study_name
        note(session, EventKind.WORKER_LOST, "its heartbeats stopped", study=name, worker=row.worker)


def last_held(storage: Storage, workers: Collection[str]) -> dict[str, tuple[str, datetime]]:
    """The study that each of these workers, which are dead, trained when it died, and when it took that."""

    def work(session: Session) -> dict[str, tuple[str, datetime]]:
        kinds = [EventKind.TAKEN.value, EventKind.WORKER_LOST.value]
        theirs = select(events).where(events.c.worker.in_(workers), events.c.kind.in_(kinds)).order_by(events.c.id)
        last: dict[str, tuple[str, datetime]] = {}
        for row in session.execute(theirs):
            if row.kind == EventKind.TAKEN.value:
                last[row.worker] = row.study_name, row.at
            elif row.study_name is None:  # it was idle
                last.pop(row.worker, None)
        idle = set(session.scalars(select(pool.c.worker).where(pool.c.worker.in_(workers), pool.c.study_id.is_(None))))
        return {worker: held for worker, held in last.items() if worker not in idle}

    return storage.read(work)


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
