"""The workers of a study: writes their heartbeats, and ends the trials of dead ones."""

import json
import os
import socket
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, selectinload

from optbench.defaults import HEARTBEAT_TIMEOUT
from optbench.scheduler.attributes import TrialAttribute
from optbench.scheduler.states import Decision, Ending
from optbench.storage.liveness import Watch, clock, is_young, lives
from optbench.storage.optuna_private import models
from optbench.storage.rows import attribute, end
from optbench.storage.schema import ATTACHED, epochs, workers
from optbench.storage.worker_names import new_name


class Worker:
    """One worker of one study. It keeps its running trials as long as its heartbeats arrive in time."""

    def __init__(self, study_id: int, heartbeat_timeout: int = HEARTBEAT_TIMEOUT) -> None:
        self.study_id, self.heartbeat_timeout = study_id, heartbeat_timeout
        self.name = new_name()
        self.watch = Watch(self.name, heartbeat_timeout)

    def rejoin(self, session: Session) -> None:
        """Write a heartbeat if this worker's have stopped, or if another worker took it for dead and removed it."""
        last = session.scalar(select(workers.c.heartbeat).where(workers.c.worker == self.name))
        if last is None or (clock(session) - last).total_seconds() >= self.heartbeat_timeout / 2:
            self.heartbeat(session)

    def heartbeat(self, session: Session) -> None:
        """Write this worker's heartbeat."""
        mine = workers.c.worker == self.name
        last = session.execute(select(workers.c.heartbeat).where(mine).with_for_update()).scalar()
        now = clock(session)
        if last is None:
            own = {"worker": self.name, "study_id": self.study_id, "timeout": self.heartbeat_timeout}
            session.execute(
                insert(workers).values(**own, host=socket.gethostname(), process=os.getpid(), heartbeat=now)
            )
            return
        session.execute(update(workers).where(mine).values(heartbeat=now))
        self.watch.beat((now - last).total_seconds())

    def reap(self, session: Session) -> None:
        """End the running trials of this study's dead workers, so that their slots become free.

        Every worker watches the others, but only one of them reaps: of those whose last heartbeat is young, the one
        with the shortest timeout, and then the first name. It locks the trials of the dead and no others.
        """
        columns = workers.c.worker, workers.c.heartbeat, workers.c.timeout
        rows = session.execute(select(*columns).where(workers.c.study_id == self.study_id)).all()
        now = clock(session)
        dead = self.watch.dead(rows, now)
        young = {
            (row.timeout, row.worker)
            for row in rows
            if is_young((now - row.heartbeat).total_seconds(), row.timeout / 2)
        }
        own = self.heartbeat_timeout, self.name
        if own != min(young - {(row.timeout, row.worker) for row in dead} | {own}):
            return
        # The trials are read before the workers, again: a worker that joins in between has no trial among them.
        found = workers_of_running(session, self.study_id)
        present = set(session.scalars(select(workers.c.worker).where(workers.c.study_id == self.study_id)))
        present -= {row.worker for row in dead}
        lost = [trial_id for trial_id, worker in found.items() if worker not in present]
        for trial, worker in _locked(session, lost):
            _interrupt(session, trial, f"worker {worker} died")
        for row in dead:
            unchanged = workers.c.worker == row.worker, workers.c.heartbeat == row.heartbeat
            session.execute(delete(workers).where(*unchanged))

    def leave(self, session: Session) -> None:
        """Remove this worker. Trials that it still has, for example claimed and never begun, end as interrupted."""
        found = workers_of_running(session, self.study_id)
        own = [trial_id for trial_id, worker in found.items() if worker == self.name]
        for trial, worker in _locked(session, own):
            _interrupt(session, trial, f"worker {worker} left")
        session.execute(delete(workers).where(workers.c.worker == self.name))


def alive(session: Session, study_id: int | None = None) -> set[str]:
    """The names of the live workers, of one study or of all."""
    found = alive_by_study(session)
    return found.get(study_id, set()) if study_id is not None else {name for names in found.values() for name in names}


def alive_by_study(session: Session) -> dict[int, set[str]]:
    """The names of the live workers by study id."""
    now = clock(session)
    found: defaultdict[int, set[str]] = defaultdict(set)
    for row in session.execute(select(workers)):
        if lives(row, now):
            found[row.study_id].add(row.worker)
    return found


def workers_of_running(session: Session, study_id: int) -> dict[int, str]:
    """The worker of each running trial of a study, by the trial's id. Trials of other programs are left out."""
    trial, held = models.TrialModel, models.TrialUserAttributeModel
    query = (
        select(trial.trial_id, held.value_json)
        .join(held, held.trial_id == trial.trial_id)
        .where(trial.study_id == study_id, trial.state == TrialState.RUNNING, held.key == TrialAttribute.WORKER.value)
    )
    return {trial_id: json.loads(text) for trial_id, text in session.execute(query)}


def _locked(session: Session, trial_ids: Collection[int]) -> list[tuple[Any, str]]:
    """Those of the trials that still run, each with its worker's name, after locking them."""
    if not trial_ids:
        return []
    query = (
        select(models.TrialModel)
        .where(models.TrialModel.trial_id.in_(trial_ids), models.TrialModel.state == TrialState.RUNNING)
        .options(selectinload(models.TrialModel.user_attributes))
        .order_by(models.TrialModel.trial_id)
    )
    found = session.scalars(query.with_for_update()).all()
    return [(trial, worker) for trial in found if (worker := attribute(trial, TrialAttribute.WORKER)) is not None]


def running_by_study(session: Session) -> dict[int, list[str]]:
    """The worker of every running trial, by study id. Trials of other programs are left out."""
    trial, held = models.TrialModel, models.TrialUserAttributeModel
    query = (
        select(trial.study_id, held.value_json)
        .join(held, held.trial_id == trial.trial_id)
        .where(trial.state == TrialState.RUNNING, held.key == TrialAttribute.WORKER.value)
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for study_id, text in session.execute(query):
        found[study_id].append(json.loads(text))
    return found


def _interrupt(session: Session, trial: Any, reason: str) -> None:
    query = select(func.count()).select_from(ATTACHED).where(epochs.c.trial_id == trial.trial_id)
    end(trial, Ending(Decision.INTERRUPTED, None, session.scalar(query) or 0, reason))
