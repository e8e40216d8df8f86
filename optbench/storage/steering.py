"""Changes what becomes of the studies in the queue. Every function is one short transaction.

Whoever changes a study's place or its total locks the study first, so that nobody concludes it meanwhile.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from optbench.errors import StudyError
from optbench.scheduler.states import Wish
from optbench.storage.engine import Storage
from optbench.storage.event_log import EventKind, note
from optbench.storage.liveness import clock
from optbench.storage.optuna_private import models
from optbench.storage.queue import Place, lock_study, place_of, put
from optbench.storage.schema import queue
from optbench.storage.study_reader import read_records
from optbench.storage.totals import NewTotal, trained_further, write_total

ASKED = {Wish.RUN: EventKind.RESUMED, Wish.PAUSE: EventKind.PAUSED, Wish.STOP: EventKind.STOPPED}


def steer(
    storage: Storage,
    study_id: int,
    *,
    by: str,
    wish: Wish | None = None,
    priority: int | None = None,
    total: NewTotal | None = None,
) -> None:
    """Store what `by` asks for: a wish (RUN also forgets the problem), a priority, a total. All of it or nothing.

    Raises StudyError if the study is not in the queue, or if its workers train towards a larger total.
    """

    def work(session: Session) -> None:
        name, _ = lock_study(session, study_id)
        if place_of(session, study_id) is None:
            raise StudyError(
                f"study {name!r} is not in the queue: it is finished, or runs by hand, and Ctrl-C in its terminal ends "
                "it; `optbench queue` lists the queue"
            )
        if total is not None and not write_total(session, study_id, total):
            raise trained_further(name, total.trials)
        values: dict[str, Any] = {"priority": priority, "wish": wish and wish.value}
        values = {key: value for key, value in values.items() if value is not None}
        if wish is Wish.RUN:
            values |= {"problem": None, "asked": clock(session)}
        if values:
            session.execute(update(queue).where(queue.c.study_id == study_id).values(values))
        if priority is not None:
            note(session, EventKind.PRIORITY, f"{priority} by {by}", study=name)
        if wish is not None:
            note(session, ASKED[wish], f"by {by}", study=name)

    storage.write(work)


def set_problem(storage: Storage, place: Place, problem: str, worker: str) -> None:
    """Store why the study can never run, so that nobody tries it until it is submitted or resumed.

    Nothing happens if it was since `place` was read, or was deleted.
    """

    def work(session: Session) -> None:
        same = queue.c.study_id == place.study_id, queue.c.asked == place.asked, queue.c.problem.is_(None)
        if session.execute(update(queue).where(*same).values(problem=problem[:1000])).rowcount:  # type: ignore[attr-defined]
            note(session, EventKind.FAILED, problem, study=place.study, worker=worker)

    storage.write(work)


def conclude(storage: Storage, study_id: int, text: str, finals_id: int | None = None) -> bool:
    """Whether this call took the study out of the queue because its trials are finished.

    Its finals, if they are to be trained, get its place as it is now, unless they have one. Of several workers that
    conclude a study, one gets True. Nothing happens if its total was raised meanwhile, or if it was deleted.
    """

    def work(session: Session) -> bool:
        session.get(models.StudyModel, study_id, with_for_update=True)
        place = place_of(session, study_id)
        if place is None or any(one.finished < (one.total or 0) for one in read_records(session, [study_id])):
            return False
        session.execute(delete(queue).where(queue.c.study_id == study_id))
        if finals_id is not None:
            _hand_over(session, place, finals_id)
        note(session, EventKind.DONE, text, study=place.study)
        return True

    return storage.write(work)


def _hand_over(session: Session, place: Place, study_id: int) -> None:
    """Give the study that place, unless it has one or was deleted."""
    try:
        name, token = lock_study(session, study_id)
    except StudyError:
        return
    if place_of(session, study_id) is None:
        put(session, replace(place, study_id=study_id, asked=clock(session)), token)
        note(session, EventKind.SUBMITTED, f"by {place.owner}", study=name)
