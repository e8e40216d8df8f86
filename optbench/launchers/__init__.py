"""Launchers start workers as other processes. Each worker can be started, asked for its status, stopped and read."""

import enum
from typing import Protocol


class Status(enum.Enum):
    """Whether a worker has been started and has ended. One that is WAITING was started, and its engine has no room."""

    CREATED = "created"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class WorkerProcess(Protocol):
    """One worker, wherever it runs, or several that are started and stopped together."""

    def start(self) -> None: ...

    @property
    def status(self) -> Status: ...

    def stop(self, signal: int) -> None:
        """Sends the signal to the worker, unless it has ended."""

    def logs(self) -> str:
        """What the worker has printed so far."""
