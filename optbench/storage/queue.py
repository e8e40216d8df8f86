"""The queue: the studies that people submitted, in which order workers take them, and what people wish of them.

Only the wish is stored. A study leaves the queue once it is finished. Every function is one short transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from optbench.errors import StudyError
from optbench.scheduler.states import Need, Wish
from optbench.storage.engine import Storage
from optbench.storage.event_log import EventKind, note
from optbench.storage.optuna_private import models
from optbench.storage.schema import TOKEN, queue
from optbench.storage.workers import clock

ASKED = {Wish.RUN: EventKind.RESUMED, Wish.PAUSE: EventKind.PAUSED, Wish.STOP: EventKind.STOPPED}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """How a study is to be worked on.

    Workers with the same `label` (None: those without one) take it, at most `max_workers` at a time; of two studies,
    they take the one with the higher `priority`. `owner` is the name of who submitted it.
    """

    owner: str
    priority: int = 0
    max_workers: int | None = None
    label: str | None = None
    needs: Need | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A study's place in the queue. `problem` is why it can never run, until it is submitted or resumed again.

    Times are the database's, in UTC: `submitted` is the first submission, `asked` the last submission or resumption.
    """

    study_id: int
    study: str
    wish: Wish
    submission: Submission
    submitted: datetime
    asked: datetime
    problem: str | None

    @property
    def runs(self) -> bool:
        """Whether workers may train it: nobody wished otherwise, and it has no problem."""
        return self.wish is Wish.RUN and self.problem is None


def enqueue(storage: Storage, study_id: int, submission: Submission) -> bool:
    """Whether the study is new in the queue, after giving it a place there, or its place another submission."""

    def work(session: Session) -> bool:
        name, token = _named(session, study_id)
        now = clock(session)
        values = {
            "wish": Wish.RUN.value,
            "priority": submission.priority,
            "max_workers": submission.max_workers,
            "label": submission.label,
            "needs": submission.needs and submission.needs.value,
            "owner": submission.owner,
            "asked": now,
            "problem": None,
        }
        held = session.scalar(_locked(study_id))
        if held == token:
            session.execute(update(queue).where(queue.c.study_id == study_id).values(values))
            return False
        session.execute(delete(queue).where(queue.c.study_id == study_id))  # of a deleted study with the same id
        session.execute(insert(queue).values(study_id=study_id, study_token=token, submitted=now, **values))
        note(session, EventKind.SUBMITTED, f"by {submission.owner}", study=name)
        return True

    return storage.write(work)


def places(storage: Storage) -> list[Place]:
    """The queue: the highest priority first, then the oldest."""
    return storage.read(read_places)


def read_places(session: Session) -> list[Place]:
    """See `places`."""
    study, held = models.StudyModel, models.StudySystemAttributeModel
    query = (
        select(queue, study.study_name, held.value_json)
        .join(study, study.study_id == queue.c.study_id)
        .join(held, held.study_id == queue.c.study_id)
        .where(held.key == TOKEN)
        .order_by(queue.c.priority.desc(), queue.c.submitted, queue.c.study_id)
    )
    return [_place(row) for row in session.execute(query) if row.value_json == f'"{row.study_token}"']


def find_place(storage: Storage, study_id: int) -> Place | None:
    """The study's place; None if it is not in the queue."""
    return next((place for place in places(storage) if place.study_id == study_id), None)


def set_wish(storage: Storage, study_id: int, wish: Wish, by: str) -> None:
    """Store what `by` wishes of the study; RUN also forgets its problem.

    Raises StudyError if it is not in the queue.
    """

    def work(session: Session) -> None:
        name = _in_queue(session, study_id)
        again = {"problem": None, "asked": clock(session)} if wish is Wish.RUN else {}
        session.execute(update(queue).where(queue.c.study_id == study_id).values(wish=wish.value, **again))
        note(session, ASKED[wish], f"by {by}", study=name)

    storage.write(work)


def set_priority(storage: Storage, study_id: int, priority: int, by: str) -> None:
    """Store the study's priority. Raises StudyError if it is not in the queue."""

    def work(session: Session) -> None:
        name = _in_queue(session, study_id)
        session.execute(update(queue).where(queue.c.study_id == study_id).values(priority=priority))
        note(session, EventKind.PRIORITY, f"{priority} by {by}", study=name)

    storage.write(work)


def set_problem(storage: Storage, study_id: int, problem: str, worker: str) -> None:
    """Store why the study can never run, so that nobody tries it until it is submitted or resumed."""

    def work(session: Session) -> None:
        name, _ = _named(session, study_id)
        same = queue.c.study_id == study_id, queue.c.problem.is_(None)
        if session.execute(update(queue).where(*same).values(problem=problem[:1000])).rowcount:  # type: ignore[attr-defined]
            note(session, EventKind.FAILED, problem, study=name, worker=worker)

    storage.write(work)


def remove_finished(storage: Storage, study_id: int, text: str) -> None:
    """Take a finished study out of the queue. Of several workers that do so, one notes that it is done."""

    def work(session: Session) -> None:
        name, _ = _named(session, study_id)
        if session.execute(delete(queue).where(queue.c.study_id == study_id)).rowcount:  # type: ignore[attr-defined]
            note(session, EventKind.DONE, text, study=name)

    storage.write(work)


def wish_of(session: Session, study_id: int) -> Wish:
    """What people wish of the study; RUN if it is not in the queue, because then somebody runs it by hand."""
    return Wish(session.scalar(select(queue.c.wish).where(queue.c.study_id == study_id)) or Wish.RUN)


def _place(row: Any) -> Place:
    submission = Submission(
        owner=row.owner,
        priority=row.priority,
        max_workers=row.max_workers,
        label=row.label,
        needs=row.needs and Need(row.needs),
    )
    return Place(
        study_id=row.study_id,
        study=row.study_name,
        wish=Wish(row.wish),
        submission=submission,
        submitted=row.submitted,
        asked=row.asked,
        problem=row.problem,
    )


def _named(session: Session, study_id: int) -> tuple[str, str]:
    """The study's name and token. Raises StudyError if it was deleted."""
    study, held = models.StudyModel, models.StudySystemAttributeModel
    query = select(study.study_name, held.value_json).join(held, held.study_id == study.study_id)
    found = session.execute(query.where(study.study_id == study_id, held.key == TOKEN)).first()
    if found is None:
        raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists the studies")
    return found[0], found[1].strip('"')


def _in_queue(session: Session, study_id: int) -> str:
    """The study's name, after locking its place. Raises StudyError if it is not in the queue."""
    name, token = _named(session, study_id)
    if session.scalar(_locked(study_id)) != token:
        raise StudyError(
            f"study {name!r} is not in the queue: it is finished, or runs by hand, and Ctrl-C in its terminal ends it; "
            "`optbench queue` lists the queue"
        )
    return name


def _locked(study_id: int) -> Any:
    """The query for the token of the study's place, which locks it."""
    return select(queue.c.study_token).where(queue.c.study_id == study_id).with_for_update()
