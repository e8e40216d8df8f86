"""Writes a worker's heartbeats to the database from a separate thread."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from optbench.errors import StorageError
from optbench.scheduler.states import Wish
from optbench.storage import Writer
from optbench.worker.stop import StopRequest

log = logging.getLogger(__name__)
HEARTBEATS = 6  # per heartbeat timeout
REQUESTS = {Wish.RUN: None, Wish.PAUSE: StopRequest.DRAIN, Wish.STOP: StopRequest.NOW}


class Heartbeats:
    """The heartbeats of a worker, and what people wished of its study at the last one."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.problem: Exception | None = None
        self.wish = writer.heartbeat()

    def check(self) -> None:
        """Raise the error that ended the heartbeats, if any: without them, the worker must stop."""
        if self.problem is not None:
            raise self.problem

    def request(self) -> StopRequest | None:
        """The stop request that the wish means."""
        return REQUESTS[self.wish]

    def write_until(self, over: threading.Event, seconds: float) -> None:
        """Write a heartbeat again and again, with so many seconds between, until it is over or one fails for good."""
        while not over.wait(seconds):
            try:
                self.wish = self.writer.heartbeat()
            except StorageError as problem:  # the next heartbeat may succeed
                log.info("heartbeat not written: %s", problem)
            except Exception as problem:
                self.problem = problem
                return


@contextmanager
def heartbeat(writer: Writer, timeout: float) -> Iterator[Heartbeats]:
    """Writes heartbeats while the `with` block runs, so that a long epoch does not look like a dead worker."""
    over, heartbeats = threading.Event(), Heartbeats(writer)
    thread = threading.Thread(target=heartbeats.write_until, args=(over, timeout / HEARTBEATS), daemon=True)
    thread.start()
    try:
        yield heartbeats
    finally:
        over.set()
        thread.join()
        try:
            writer.leave()
        except StorageError as problem:  # other workers take its trials over after the heartbeat timeout
            log.warning("this worker could not sign off: %s", problem)
