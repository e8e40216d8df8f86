"""How a worker of the pool chooses studies from the queue, and when it leaves one for another."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from optbench.scheduler.states import Need
from optbench.storage.candidates import Candidate, candidates, in_order
from optbench.storage.event_log import EventKind, declines, note, take_over
from optbench.storage.liveness import clock, lives
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import Place, read_places
from optbench.storage.schema import pool, queue
from optbench.storage.worker_names import series_of


class Taker:
    """Takes studies from the queue for one worker of the pool.

    Studies that the worker has declined are those that it cannot run: they are left to others until they are asked for
    again.
    """

    def __init__(self, worker: PoolWorker) -> None:
        self.worker, self.storage = worker, worker.storage
        self.declined: dict[int, datetime] = {}  # when the study was last asked for, by its id

    def take(self) -> Candidate | None:
        """The study that the worker takes from the queue; None if nothing there wants it."""

        def work(session: Session) -> Candidate | None:
            for one in self._fitting(session):
                # Of several workers that want the last place, one gets it: the others count again after it.
                session.execute(
                    select(queue.c.study_id).where(queue.c.study_id == one.place.study_id).with_for_update()
                )
                again = next((now for now in self._fitting(session) if now.place.study_id == one.place.study_id), None)
                if again is not None:
                    self.worker.study_id = again.place.study_id
                    mine = pool.c.worker == self.worker.name
                    session.execute(update(pool).where(mine).values(study_id=again.place.study_id))
                    note(session, EventKind.TAKEN, "", study=again.place.study, worker=self.worker.name)
                    return again
            return None

        self.worker.study_id = None
        if not self.storage.read(self._fitting):
            return None
        return self.storage.write(work)

    def release(self) -> None:
        """Note that the worker trains no study now."""
        idle = update(pool).where(pool.c.worker == self.worker.name).values(study_id=None)
        self.worker.study_id = None
        self.storage.write(lambda session: session.execute(idle))

    def decline(self, place: Place, why: str) -> None:
        """Leave the study, which this worker cannot run, to others until it is submitted or resumed, and say why."""
        self.storage.write(lambda session: self._leave(session, place, EventKind.DECLINED, why))

    def leave_crashing(self, place: Place, why: str) -> int:
        """Leave the study, which crashes this worker, to others. Returns how many workers have done so by now."""

        def work(session: Session) -> int:
            self._leave(session, place, EventKind.CRASHED, why)
            left = declines(session, {place.study: place.asked}, [EventKind.CRASHED])[place.study]
            return len({series_of(worker) for worker, _ in left})

        return self.storage.write(work)

    def _leave(self, session: Session, place: Place, kind: EventKind, why: str) -> None:
        """What a worker of the same series has said before is not said again: its event becomes this worker's."""
        self.declined[place.study_id] = place.asked
        if not take_over(session, kind, why, study=place.study, since=place.asked, worker=self.worker.name):
            note(session, kind, why, study=place.study, worker=self.worker.name)

    def should_leave(self) -> bool:
        """Whether the worker was asked to drain, or a study of a higher priority than its own calls it away."""
        return self.storage.read(lambda session: self.worker.is_draining(session) or self._called_away(session))

    def idle(self) -> bool:
        """Whether no study may need the worker, not even to take over the trials of a worker that dies."""
        places = self.storage.read(read_places)
        return not any(place.runs and self._fits(place) for place in places)

    def _called_away(self, session: Session) -> bool:
        found = read_places(session)
        priorities = {place.study_id: place.priority for place in found}
        own = priorities.get(self.worker.study_id or 0)
        if own is None:
            return False
        # Every worker asks this every two seconds, so the trials of studies are counted only if it matters.
        higher = [place for place in found if place.priority > own and place.runs and self._fits(place)]
        return any(self._is_called(session, one, priorities) for one in candidates(session, higher) if one.wanted)

    def _is_called(self, session: Session, one: Candidate, priorities: Mapping[int, int]) -> bool:
        """Whether this worker is among those that leave their studies for this one.

        It calls no more workers than it wants: first the idle ones, then those of the lowest priority.
        """
        place, now = one.place, clock(session)
        declined = {worker for worker, _ in declines(session, {place.study: place.asked})[place.study]}
        rows = [row for row in session.execute(select(pool)) if lives(row, now) and not row.draining]
        able = [row for row in rows if fits(row, place) and row.worker not in declined]
        idle = sum(row.study_id not in priorities for row in able)
        lower = [row for row in able if priorities.get(row.study_id, place.priority) < place.priority]
        lower.sort(key=lambda row: (priorities[row.study_id], row.worker))
        return self.worker.name in [row.worker for row in lower[: max(0, one.wants - idle)]]

    def _fitting(self, session: Session) -> list[Candidate]:
        """The studies that want one more worker and that this one can train, first choice first."""
        found = [place for place in read_places(session) if place.problem is None and self._fits(place)]
        return sorted((one for one in candidates(session, found) if one.wanted), key=in_order)

    def _fits(self, place: Place) -> bool:
        return fits(self.worker, place) and self.declined.get(place.study_id) != place.asked


def fits(worker: Any, place: Place) -> bool:
    """Whether a worker, or its row, has the label and what the study needs."""
    return bool(worker.label == place.label and (worker.gpu or place.needs is not Need.GPU))
