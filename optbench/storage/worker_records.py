"""Reads the workers of a study: one record each, with the age of its heartbeat."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.liveness import clock, is_young
from optbench.storage.schema import workers


@dataclass(frozen=True)
class WorkerRecord:
    """A worker of a study, with the seconds since its last heartbeat by the database's clock.

    The age is negative if that clock was set back, so that the heartbeat lies in the future.
    """

    name: str
    host: str
    process: int
    heartbeat_age: float
    timeout: int

    @property
    def alive(self) -> bool:
        """Whether the last heartbeat is closer to now than the timeout."""
        return is_young(self.heartbeat_age, self.timeout)


def study_workers(storage: Storage, study_id: int) -> list[WorkerRecord]:
    """Every worker of the study, by name. A dead worker stays in the list until another one reaps it."""

    def work(session: Session) -> list[WorkerRecord]:
        now = clock(session)
        rows = session.execute(select(workers).where(workers.c.study_id == study_id).order_by(workers.c.worker))
        return [
            WorkerRecord(
                name=row.worker,
                host=row.host,
                process=row.process,
                heartbeat_age=(now - row.heartbeat).total_seconds(),
                timeout=row.timeout,
            )
            for row in rows
        ]

    return storage.read(work)
