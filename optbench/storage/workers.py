"""Who works on a study, and who is gone: heartbeats by the database's clock, and the trials of the dead."""

import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, selectinload

from optbench.scheduler.states import Decision, Ending
from optbench.storage.rows import attribute, end
from optbench.storage.schema import ATTACHED, epochs, models, workers

HEARTBEAT_TIMEOUT = 60  # seconds


class Worker:
    """One worker of one study: its row says until when its running trials are its own."""

    def __init__(self, study_id: int, heartbeat_timeout: int = HEARTBEAT_TIMEOUT) -> None:
        self.study_id, self.heartbeat_timeout = study_id, heartbeat_timeout
        self.name = f"{socket.gethostname()[:200]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.watched: dict[str, tuple[datetime, datetime]] = {}  # the heartbeat of each other worker, and since when

    def heartbeat(self, session: Session) -> None:
        """Say that this worker lives."""
        mine = workers.c.worker == self.name
        last = session.execute(select(workers.c.heartbeat).where(mine).with_for_update()).scalar()
        now = clock(session)
        if last is None:
            own = {"worker": self.name, "study_id": self.study_id, "timeout": self.heartbeat_timeout}
            session.execute(
                insert(workers).values(**own, host=socket.gethostname(), process=os.getpid(), heartbeat=now)
            )
            return
        session.execute(update(workers).where(mine).values(heartbeat=max(last, now)))
        if (now - last).total_seconds() >= self.heartbeat_timeout / 2:
            self.watched.clear()  # frozen, or cut off: the others may have been cut off with it

    def reap(self, session: Session) -> None:
        """End the running trials of this study's workers that are gone: their slots become free.

        A worker is dead once its last heartbeat is older than its timeout, and this worker has watched it for half of
        that time: a database that was out of reach makes nobody dead. The trials are read before the workers, so that
        a worker that joins in between has none.
        """
        now = clock(session)
        found = running(session, self.study_id, lock=True)
        rows = session.execute(select(workers).where(workers.c.study_id == self.study_id)).all()
        gone = self._gone(rows, now)
        present = {row.worker for row in rows if row not in gone}
        for trial, worker in found:
            if worker not in present:
                _interrupt(session, trial, worker)
        for row in gone:
            session.execute(delete(workers).where(workers.c.worker == row.worker, workers.c.heartbeat == row.heartbeat))

    def leave(self, session: Session) -> None:
        """Say that this worker is gone; a trial that it claimed and never got to train ends here."""
        for trial, worker in running(session, self.study_id, lock=True):
            if worker == self.name:
                _interrupt(session, trial, worker)
        session.execute(delete(workers).where(workers.c.worker == self.name))

    def _gone(self, rows: Sequence[Any], now: datetime) -> list[Any]:
        before, self.watched, gone = self.watched, {}, []
        for row in rows:
            heartbeat, since = before.get(row.worker, (None, now))
            since = since if heartbeat == row.heartbeat else now
            self.watched[row.worker] = (row.heartbeat, since)
            if not _lives(row, now) and (now - since).total_seconds() >= row.timeout / 2:
                gone.append(row)
        return gone


def clock(session: Session) -> datetime:
    """The database's time, in UTC. PostgreSQL's CURRENT_TIMESTAMP would be the start of the transaction."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    time = func.clock_timestamp() if postgresql else func.current_timestamp()
    now: datetime = session.execute(select(time)).scalar_one()
    return now.replace(tzinfo=None)


def alive(session: Session, study_id: int | None = None) -> set[str]:
    """The workers, of one study or of all, that are within their heartbeat_timeout."""
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
    return bool((now - row.heartbeat).total_seconds() < row.timeout)


def _interrupt(session: Session, trial: Any, worker: str) -> None:
    query = select(func.count()).select_from(ATTACHED).where(epochs.c.trial_id == trial.trial_id)
    trained = session.scalar(query) or 0
    end(trial, Ending(Decision.INTERRUPTED, None, trained, f"worker {worker} is gone"))
