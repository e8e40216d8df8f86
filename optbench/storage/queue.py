"""The queue: the studies that people submitted, in which order workers take them, and what people wish of them.

Only the wish is stored. A study leaves the queue once it is finished.
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
from optbench.storage.liveness import clock
from optbench.storage.optuna_private import models
from optbench.storage.schema import QUEUED, TOKEN, queue


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
    """Whether the study is new in the queue, after giving it a place there, or its place another submission.

    Raises StudyError if the study was deleted.
    """

    def work(session: Session) -> bool:
        name, token = lock_study(session, study_id)
        new = put(session, study_id, token, submission, Wish.RUN)
        if not new:
            session.execute(
                update(queue)
                .where(queue.c.study_id == study_id)
                .values(wish=Wish.RUN.value, problem=None, asked=clock(session), **_columns(submission))
            )
        note(session, EventKind.SUBMITTED, f"{'' if new else 'again '}by {submission.owner}", study=name)
        return new

    return storage.write(work)


def put(
    session: Session,
    study_id: int,
    token: str,
    submission: Submission,
    wish: Wish,
    submitted: datetime | None = None,
) -> bool:
    """Whether the study got a place in the queue, which it has not if it had one already. The study must be locked."""
    if session.scalar(select(queue.c.study_token).where(queue.c.study_id == study_id)) == token:
        return False
    session.execute(delete(queue).where(queue.c.study_id == study_id))  # of a deleted study with the same id
    now = clock(session)
    own = {"study_id": study_id, "study_token": token, "wish": wish.value, "submitted": submitted or now, "asked": now}
    session.execute(insert(queue).values(**own, **_columns(submission)))
    return True


def lock_study(session: Session, study_id: int) -> tuple[str, str]:
    """The name and the token of the study, after locking it: a row that is not yet in the queue cannot be locked.

    Raises StudyError if it was deleted.
    """
    session.get(models.StudyModel, study_id, with_for_update=True)
    study, held = models.StudyModel, models.StudySystemAttributeModel
    query = select(study.study_name, held.value_json).join(held, held.study_id == study.study_id)
    found = session.execute(query.where(study.study_id == study_id, held.key == TOKEN)).first()
    if found is None:
        raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists the studies")
    return found[0], found[1].strip('"')


def places(storage: Storage) -> list[Place]:
    """The queue: the highest priority first, then the oldest."""
    return storage.read(read_places)


def read_places(session: Session) -> list[Place]:
    """See `places`."""
    study = models.StudyModel
    query = (
        select(queue, study.study_name)
        .select_from(QUEUED)
        .join(study, study.study_id == queue.c.study_id)
        .order_by(queue.c.priority.desc(), queue.c.submitted, queue.c.study_id)
    )
    return [_place(row) for row in session.execute(query)]


def find_place(storage: Storage, study_id: int) -> Place | None:
    """The study's place; None if it is not in the queue."""
    return next((place for place in places(storage) if place.study_id == study_id), None)


def wish_of(session: Session, study_id: int) -> Wish:
    """What people wish of the study; RUN if it is not in the queue, because then somebody runs it by hand."""
    query = select(queue.c.wish).select_from(QUEUED).where(queue.c.study_id == study_id)
    return Wish(session.scalar(query) or Wish.RUN)


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


def _columns(submission: Submission) -> dict[str, Any]:
    return {
        "priority": submission.priority,
        "max_workers": submission.max_workers,
        "label": submission.label,
        "needs": submission.needs and submission.needs.value,
        "owner": submission.owner,
    }
