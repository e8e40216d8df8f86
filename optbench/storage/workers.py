"""Who works on a study, and who is gone: heartbeats by the database's clock, and the trials of the dead."""

import os
import socket
import uuid
from datetime import datetime, timedelta
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, selectinload

from optbench.job import Ending, Verdict
from optbench.storage.rows import attribute, end
from optbench.storage.schema import epochs, models, workers

GRACE = 60  # seconds


class Worker:
    """One worker of one study: its row says until when its running trials are its own."""

    def __init__(self, study_id: int, grace: int = GRACE) -> None:
        self.study_id, self.grace = study_id, grace
        self.name = f"{socket.gethostname()[:200]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.wary_until: datetime | None = None

    def beat(self, session: Session) -> None:
        """Say that this worker lives. After a silence of its own it is wary: the others may have been cut off too."""
        now = clock(session)
        last = session.execute(select(workers.c.beat).where(workers.c.worker == self.name)).scalar()
        if last is None:
            own = {"worker": self.name, "study_id": self.study_id, "grace": self.grace}
            session.execute(insert(workers).values(**own, host=socket.gethostname(), process=os.getpid(), beat=now))
        else:
            session.execute(update(workers).where(workers.c.worker == self.name).values(beat=now))
            if (now - last).total_seconds() >= self.grace / 2:
                self.wary_until = now + timedelta(seconds=self.grace)

    def bury(self, session: Session) -> None:
        """End the running trials of this study's workers that are gone: their slots become free.

        The trials are read before the workers: whoever joins in between has no trial here that could be taken.
        """
        now = clock(session)
        if self.wary_until is not None and now < self.wary_until:
            return
        found = running(session, self.study_id, lock=True)
        rows = session.execute(select(workers).where(workers.c.study_id == self.study_id)).all()
        living = {row.worker for row in rows if _lives(row, now)}
        for trial, worker in found:
            if worker not in living:
                _interrupt(session, trial, worker)
        for row in rows:
            if row.worker not in living:
                session.execute(delete(workers).where(workers.c.worker == row.worker, workers.c.beat == row.beat))

    def leave(self, session: Session) -> None:
        """Say that this worker is gone; a trial that it claimed and never got to train ends here."""
        for trial, worker in running(session, self.study_id, lock=True):
            if worker == self.name:
                _interrupt(session, trial, worker)
        session.execute(delete(workers).where(workers.c.worker == self.name))


def clock(session: Session) -> datetime:
    """The database's time, in UTC."""
    now: datetime = session.execute(select(func.current_timestamp())).scalar_one()
    return now.replace(tzinfo=None)


def alive(session: Session, study_id: int | None = None) -> set[str]:
    """The workers, of one study or of all, that are within their grace."""
    now = clock(session)
    query = select(workers) if study_id is None else select(workers).where(workers.c.study_id == study_id)
    return {row.worker for row in session.execute(query) if _lives(row, now)}


def running(session: Session, study_id: int, lock: bool = False) -> list[tuple[Any, str]]:
    """The running trials of a study, each with its worker; those of other programs have none and are left out."""
    query = (
        select(models.TrialModel)
        .where(models.TrialModel.study_id == study_id, models.TrialModel.state == TrialState.RUNNING)
        .options(selectinload(models.TrialModel.user_attributes))
        .order_by(models.TrialModel.trial_id)
    )
    found = session.scalars(query.with_for_update() if lock else query).all()
    return [(trial, worker) for trial in found if (worker := attribute(trial, "worker")) is not None]


def _lives(row: Any, now: datetime) -> bool:
    return bool((now - row.beat).total_seconds() < row.grace)


def _interrupt(session: Session, trial: Any, worker: str) -> None:
    trained = session.scalar(select(func.count()).where(epochs.c.trial_id == trial.trial_id)) or 0
    end(trial, Ending(Verdict.INTERRUPTED, None, trained, f"worker {worker} is gone"))
