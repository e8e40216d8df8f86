"""The log of what happened to studies and workers, for people and for notifications. It keeps the newest events."""

import enum
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.schema import events
from optbench.storage.workers import clock

KEPT = 10_000
LONGEST = 1000  # characters of a text


class EventKind(enum.StrEnum):
    """What happened."""

    SUBMITTED = "submitted"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    PRIORITY = "priority"
    TAKEN = "taken"
    LEFT = "left"
    DONE = "done"
    FAILED = "failed"  # it can never run
    DECLINED = "declined"  # a worker cannot run it and leaves it to others
    WORKER_STARTED = "worker started"
    WORKER_ENDED = "worker ended"
    WORKER_LOST = "worker lost"
    DRAINING = "draining"


@dataclass(frozen=True)
class EventRecord:
    """One event, by the database's clock in UTC; `study` and `worker` are None if it is not about one."""

    id: int
    at: datetime
    kind: EventKind
    study: str | None
    worker: str | None
    text: str


def note(session: Session, kind: EventKind, text: str, *, study: str | None = None, worker: str | None = None) -> None:
    """Add an event in the transaction of what it is about, and drop the oldest beyond the number that is kept."""
    added = session.execute(
        insert(events).values(at=clock(session), kind=kind.value, study_name=study, worker=worker, text=text[:LONGEST])
    )
    number = added.inserted_primary_key[0]  # type: ignore[attr-defined]
    if number % 100 == 0:
        session.execute(events.delete().where(events.c.id <= number - KEPT))


def recent_events(storage: Storage, study: str | None = None, count: int = 50, after: int = 0) -> list[EventRecord]:
    """The newest events, oldest of them first: of one study or of all, and only those with a larger id than `after`."""

    def work(session: Session) -> list[EventRecord]:
        query = select(events).where(events.c.id > after).order_by(events.c.id.desc()).limit(count)
        if study is not None:
            query = query.where(events.c.study_name == study)
        return [
            EventRecord(
                id=row.id,
                at=row.at,
                kind=EventKind(row.kind),
                study=row.study_name,
                worker=row.worker,
                text=row.text,
            )
            for row in reversed(session.execute(query).all())
        ]

    return storage.read(work)


def newest_event(storage: Storage) -> int:
    """The id of the newest event; 0 if there is none."""
    return storage.read(lambda session: session.scalar(select(func.max(events.c.id))) or 0)
