"""The log of what happened to studies and workers, for people and for notifications. It keeps the newest events."""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.liveness import clock
from optbench.storage.schema import events, receivers, schema_version
from optbench.storage.worker_names import series_of

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
    DONE = "done"
    FAILED = "failed"  # it can never run
    DECLINED = "declined"  # a worker cannot run it and leaves it to others
    CRASHED = "crashed"  # it crashed a worker again and again, which leaves it to others
    WORKER_STARTED = "worker started"
    WORKER_ENDED = "worker ended"
    WORKER_LOST = "worker lost"
    DRAINING = "draining"
    OUTAGE = "database outage"  # this and the next one are never in the log, which is in the database
    RECOVERED = "database recovered"


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
    """Add an event at the end of the transaction of what it is about; drop the oldest beyond the number that is kept.

    Transactions that note something do so one after the other, so that whoever reads the log up to an event has seen
    all with smaller ids. Therefore a transaction should lock nothing after its first note.
    """
    session.execute(select(schema_version.c.version).with_for_update())  # a row that everybody has and nobody changes
    added = session.execute(
        insert(events).values(at=clock(session), kind=kind.value, study_name=study, worker=worker, text=text[:LONGEST])
    )
    number = added.inserted_primary_key[0]  # type: ignore[attr-defined]
    if number % 100 == 0:
        session.execute(events.delete().where(events.c.id <= number - KEPT))


def take_over(session: Session, kind: EventKind, text: str, *, study: str, since: datetime, worker: str) -> bool:
    """Whether a worker of the same series has noted this since then. The event becomes that of `worker`."""
    series = events.c.worker.endswith(f"-{series_of(worker)}", autoescape=True)
    same = events.c.kind == kind.value, events.c.study_name == study, events.c.text == text[:LONGEST], series
    # Read without a lock first: an update that searches would lock every event.
    found = session.scalars(select(events.c.id).where(*same, events.c.at >= since)).all()
    session.execute(update(events).where(events.c.id.in_(found)).values(worker=worker))
    return bool(found)


def recent_events(
    storage: Storage, study: str | None = None, count: int = 50, after: int | None = None
) -> list[EventRecord]:
    """At most so many events in their order, of one study or of all.

    They are the newest, or, if `after` is given, the first with larger ids: whoever goes on after the last one that it
    got misses none.
    """

    def work(session: Session) -> list[EventRecord]:
        newest = select(events).order_by(events.c.id.desc())
        query = newest if after is None else select(events).order_by(events.c.id).where(events.c.id > after)
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
            for row in sorted(session.execute(query.limit(count)), key=lambda row: row.id)
        ]

    return storage.read(work)


LEFT = (EventKind.DECLINED, EventKind.CRASHED)


def declines(
    session: Session, asked: Mapping[str, datetime], kinds: Collection[EventKind] = LEFT
) -> dict[str, list[tuple[str, str]]]:
    """The workers that cannot run these studies and left them to others, with why, oldest first, by study.

    `asked` says when each study was last asked for: what was declined before that does not count.
    """
    found: dict[str, list[tuple[str, str]]] = {study: [] for study in asked}
    if asked:
        kind, since = events.c.kind.in_([kind.value for kind in kinds]), events.c.at >= min(asked.values())
        for row in session.execute(select(events).where(kind, since).order_by(events.c.id)):
            if row.study_name in asked and row.at >= asked[row.study_name]:
                found[row.study_name].append((row.worker, row.text))
    return found


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
