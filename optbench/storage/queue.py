"""The queue: the studies that people submitted, in which order workers take them, and what people wish of them.

Only the wish is stored. A study leaves the queue once it is finished.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, insert, select, update
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
    """How `owner` asks for a study to be worked on. What is None was not said: see the defaults of a place.

    `trials` is a total that was asked for beside the sweep's own.
    """

    owner: str
    priority: int | None = None
    max_workers: int | None = None
    label: str | None = None
    needs: Need | None = None
    trials: int | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A study's place in the queue. `problem` is why it can never run, until it is submitted or resumed again.

    Workers with the same `label` (None: those without one) take it, at most `max_workers` at a time; of two studies,
    they take the one with the higher `priority`. `owner` is the name of who submitted it first. Times are the
    database's, in UTC: `submitted` is the first submission, `asked` the last submission or resumption.
    """

    study_id: int
    study: str
    wish: Wish
    owner: str
    submitted: datetime
    asked: datetime
    priority: int = 0
    max_workers: int | None = None
    label: str | None = None
    needs: Need | None = None
    problem: str | None = None

    @property
    def runs(self) -> bool:
        """Whether workers may train it: nobody wished otherwise, and it has no problem."""
        return self.wish is Wish.RUN and self.problem is None


def enqueue(storage: Storage, study_id: int, submission: Submission) -> bool:
    """Whether the study is new in the queue, after giving it a place there.

    If it has a place, what the submission says changes and its problem is forgotten; the rest stays, a pause included.
    Raises StudyError if the study was deleted.
    """

    def work(session: Session) -> bool:
        name, token = lock_study(session, study_id)
        now, said = clock(session), _said(submission)
        held = session.scalar(select(queue.c.study_token).where(queue.c.study_id == study_id))
        if held == token:
            changed = update(queue).where(queue.c.study_id == study_id)
            session.execute(changed.values(problem=None, asked=now, **said))
        else:
            new = Place(study_id=study_id, study=name, wish=Wish.RUN, owner=submission.owner, submitted=now, asked=now)
            put(session, replace(new, **said), token)
        again = "again " if held == token else ""
        note(session, EventKind.SUBMITTED, f"{again}by {submission.owner}", study=name)
        return held != token

    return storage.write(work)


def put(session: Session, place: Place, token: str) -> None:
    """Give the study, which must be locked, that place: instead of one that a deleted study with its id left."""
    session.execute(delete(queue).where(queue.c.study_id == place.study_id))
    columns = {column.name: getattr(place, column.name) for column in queue.c if column is not queue.c.study_token}
    session.execute(insert(queue).values(**columns, study_token=token))


def _said(submission: Submission) -> dict[str, Any]:
    """The columns that a submission changes."""
    said = {name: getattr(submission, name) for name in ("priority", "max_workers", "label", "needs")}
    return {name: value for name, value in said.items() if value is not None}


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
    ordered = _rows().order_by(queue.c.priority.desc(), queue.c.submitted, queue.c.study_id)
    return [_place(row) for row in session.execute(ordered)]


def find_place(storage: Storage, study_id: int) -> Place | None:
    """The study's place; None if it is not in the queue."""
    return storage.read(lambda session: place_of(session, study_id))


def place_of(session: Session, study_id: int) -> Place | None:
    """See `find_place`."""
    row = session.execute(_rows().where(queue.c.study_id == study_id)).first()
    return None if row is None else _place(row)


def wish_of(session: Session, study_id: int) -> Wish:
    """What people wish of the study; RUN if it is not in the queue, because then somebody runs it by hand."""
    query = select(queue.c.wish).select_from(QUEUED).where(queue.c.study_id == study_id)
    return Wish(session.scalar(query) or Wish.RUN)


def _rows() -> Select[Any]:
    """The query for every place, with the study's name."""
    study = models.StudyModel
    return select(queue, study.study_name).select_from(QUEUED).join(study, study.study_id == queue.c.study_id)


def _place(row: Any) -> Place:
    return Place(
        study_id=row.study_id,
        study=row.study_name,
        wish=Wish(row.wish),
        owner=row.owner,
        submitted=row.submitted,
        asked=row.asked,
        priority=row.priority,
        max_workers=row.max_workers,
        label=row.label,
        needs=row.needs and Need(row.needs),
        problem=row.problem,
    )
