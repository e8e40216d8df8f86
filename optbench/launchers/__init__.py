"""Launchers start workers elsewhere: each worker is started, asked for its status, stopped, and its output read."""

import enum
from typing import Protocol


class Status(enum.Enum):
    """Where a started worker stands."""

    CREATED = "created"
    RUNNING = "running"
    ENDED = "ended"


class WorkerProcess(Protocol):
    """One worker, wherever it runs."""

    def start(self) -> None: ...

    @property
    def status(self) -> Status: ...

    def stop(self, signal: int) -> None:
        """Passes the signal on; a worker that has ended ignores it."""

    def logs(self) -> str:
        """What it has printed so far."""
