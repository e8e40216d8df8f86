"""Keeps a worker of the pool present in the database while it works, and notices when it should leave its study."""

import logging
import threading
import time

from optbench.errors import StorageError, tolerated
from optbench.storage.taking import Taker
from optbench.worker.heartbeat import HEARTBEATS
from optbench.worker.stop import StopRequest

log = logging.getLogger(__name__)
POLL = 2.0  # seconds between two looks at the queue


class Presence:
    """Writes the heartbeats of a worker of the pool from a thread, and asks there whether it should leave its study."""

    def __init__(self, taker: Taker) -> None:
        self.taker, self.leaving, self.over = taker, False, threading.Event()
        self.problem: Exception | None = None
        self.thread = threading.Thread(target=self._look_after, daemon=True)

    def __enter__(self) -> "Presence":
        self.taker.worker.heartbeat()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.taker.storage.outage = lambda problem: False  # the thread waits no longer for the end of an outage
        self.thread.join()
        with tolerated(log, "this worker could not sign off", StorageError):
            self.taker.worker.leave()

    def check(self) -> None:
        """Raise the error that ended the thread, if any: without heartbeats the worker must stop."""
        if self.problem is not None:
            raise self.problem

    def request(self) -> StopRequest | None:
        """DRAIN if the worker should finish its running trials and leave its study. Raises as `check` does."""
        self.check()
        return StopRequest.DRAIN if self.leaving else None

    def _look_after(self) -> None:
        due, every = time.monotonic(), self.taker.worker.heartbeat_timeout / HEARTBEATS
        while not self.over.wait(min(POLL, every)):
            try:
                self.leaving = self.taker.should_leave()
                if time.monotonic() >= due:
                    self.taker.worker.heartbeat()
                    due = time.monotonic() + every
            except StorageError as problem:  # the next look may succeed
                log.info("the database does not answer: %s", problem)
            except Exception as problem:
                self.problem = problem
                return
