"""Writes a worker's heartbeats to the database from a separate thread."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from optbench.errors import StorageError
from optbench.storage import Writer

log = logging.getLogger(__name__)
HEARTBEATS = 6  # per heartbeat timeout


@contextmanager
def heartbeat(writer: Writer, timeout: float) -> Iterator[Callable[[], None]]:
    """Writes heartbeats while the `with` block runs, so that a long epoch does not look like a dead worker.

    Yields a function that raises the error that ended the heartbeats, if any: without them, the worker must stop.
    """
    over, problems = threading.Event(), list[Exception]()

    def keep_writing() -> None:
        while not over.wait(timeout / HEARTBEATS):
            try:
                writer.heartbeat()
            except StorageError as problem:  # the next heartbeat may succeed
                log.info("heartbeat not written: %s", problem)
            except Exception as problem:
                problems.append(problem)
                return

    def check() -> None:
        if problems:
            raise problems[0]

    writer.heartbeat()
    thread = threading.Thread(target=keep_writing, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        over.set()
        thread.join()
        try:
            writer.leave()
        except StorageError as problem:  # other workers take its trials over after the heartbeat timeout
            log.warning("this worker could not sign off: %s", problem)
