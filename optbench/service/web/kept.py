"""Keeps what was read from the database for a moment, however many people and programs ask."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from optbench.errors import StorageError

KEPT_SECONDS = 3.0
PATIENCE = 5.0  # seconds that a thread waits for another one that reads, so that some thread is left for /healthz
T = TypeVar("T")


class Kept(Generic[T]):
    """What `read` returned or the StorageError that it raised, for KEPT_SECONDS. Of several threads, one reads."""

    def __init__(
        self, read: Callable[[], T], clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE
    ) -> None:
        self.read, self.clock, self.patience = read, clock, patience
        self.reading, self.counting = threading.Lock(), threading.Lock()
        self.generation = 0  # counts the changes
        self.last: tuple[int, float, T | StorageError] | None = None  # its generation, when it was read, and what it is

    def get(self) -> T:
        """What the database holds now, or held a moment ago. Raises StorageError."""
        if not self.reading.acquire(timeout=self.patience):
            raise StorageError("the database has not answered yet", passing=True)
        try:
            found = self._current()
        finally:
            self.reading.release()
        if isinstance(found, StorageError):  # raised anew, because several threads would add to one traceback
            raise StorageError(str(found), found.passing) from found
        return found

    def forget(self) -> None:
        """Read again when somebody asks next, because something was changed. A read that is under way is too old."""
        with self.counting:
            self.generation += 1

    def _current(self) -> T | StorageError:
        generation = self.generation
        if self.last is not None:
            read_in, at, held = self.last
            if read_in == generation and self.clock() - at < KEPT_SECONDS:
                return held
        found: T | StorageError
        try:
            found = self.read()
        except StorageError as problem:
            found = problem
        self.last = generation, self.clock(), found
        return found
