"""The log of what happened to studies and workers, for people and for notifications. It keeps the newest events."""

import enum
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.schema import events, receivers
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
    OUTAGE = "database outage"  # never in the log, which is in the database


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


def recent_events(
    storage: Storage, study: str | None = None, count: int = 50, after: int = 0, oldest: bool = False
) -> list[EventRecord]:
    """So many events in their order: the newest, or the `oldest`, of those with a larger id than `after`.

    Of one study, or of all.
    """

    def work(session: Session) -> list[EventRecord]:
        order = events.c.id if oldest else events.c.id.desc()
        query = select(events).where(events.c.id > after).order_by(order).limit(count)
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
            for row in sorted(session.execute(query), key=lambda row: row.id)
        ]

    return storage.read(work)


def newest_event(storage: Storage) -> int:
    """The id of the newest event; 0 if there is none."""
    return storage.read(_newest)


def position(storage: Storage, receiver: str) -> int:
    """The id of the last event that the receiver got; the newest event's if it is new, from now on."""

    def work(session: Session) -> int:
        held = session.scalar(select(receivers.c.last_event).where(receivers.c.name == receiver))
        if held is None:
            held = _newest(session)
            session.execute(insert(receivers).values(name=receiver, last_event=held))
        return held

    return storage.write(work)


def set_position(storage: Storage, receiver: str, last: int) -> None:
    """Store up to which event the receiver has got all of them."""
    mine = receivers.c.name == receiver
    storage.write(lambda session: session.execute(update(receivers).where(mine).values(last_event=last)))


def _newest(session: Session) -> int:
    return session.scalar(select(func.max(events.c.id))) or 0
