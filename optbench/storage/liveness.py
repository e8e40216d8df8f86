"""Which workers are alive, by the age of their heartbeats on the database's clock."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def clock(session: Session) -> datetime:
    """The database's time, naive and in UTC. PostgreSQL's CURRENT_TIMESTAMP would be the start of the transaction."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    moment = func.clock_timestamp() if postgresql else func.current_timestamp()
    now: datetime = session.execute(select(moment)).scalar_one()
    return now.replace(tzinfo=None)


def is_young(age: float, timeout: float) -> bool:
    """Whether a heartbeat of this age in seconds is within the timeout.

    The age is negative if the database's clock was set back. A heartbeat far in the future is no sign of life.
    """
    return abs(age) < timeout


def lives(row: Any, now: datetime) -> bool:
    """Whether the last heartbeat of a worker's row is young."""
    return is_young((now - row.heartbeat).total_seconds(), row.timeout)


class Watch:
    """How one worker judges which of the others are dead. It measures time by its own monotonic clock.

    `worker` is its name; None if a process that is no worker watches them.
    """

    def __init__(self, worker: str | None, timeout: int) -> None:
        self.worker, self.timeout = worker, timeout
        self.beaten = time.monotonic()  # when this worker last wrote a heartbeat
        self.unchanged: dict[str, tuple[datetime, float]] = {}  # others: last heartbeat, and since when it is the last

    def beat(self, age: float) -> None:
        """Take note of a heartbeat of this worker, whose last one was `age` seconds old in the database."""
        late, self.beaten = time.monotonic() - self.beaten, time.monotonic()
        if max(late, age) >= self.timeout / 2:
            self.unchanged.clear()  # this worker was frozen or cut off, and perhaps the others with it

    def dead(self, rows: Sequence[Any], now: datetime) -> list[Any]:
        """The rows of the workers that are dead.

        A worker is dead once its last heartbeat is older than its timeout and this worker has seen it unchanged for
        half of that time, so that an outage of the database kills no worker. It is also dead once this worker has seen
        its heartbeat unchanged for the whole timeout, whatever the age of the heartbeat: the database's clock may have
        been set back.
        """
        before, self.unchanged = self.unchanged, {}
        seen, dead = time.monotonic(), []
        for row in rows:
            heartbeat, since = before.get(row.worker, (None, seen))
            since = since if heartbeat == row.heartbeat else seen
            self.unchanged[row.worker] = (row.heartbeat, since)
            overdue = not lives(row, now) and seen - since >= row.timeout / 2
            if row.worker != self.worker and (overdue or seen - since >= row.timeout):
                dead.append(row)
        return dead
