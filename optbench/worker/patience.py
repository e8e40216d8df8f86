"""How long a worker waits for a database that does not answer."""

import time
from collections.abc import Callable

from optbench.errors import StorageError
from optbench.worker.events import Listener, StorageOutage, StorageRecovered
from optbench.worker.stop import StopRequest

SECONDS = 600.0


class Patience:
    """Decides after each failed attempt whether to try again. An open database calls it (see `Storage.outage`).

    It reports the beginning and the end of an outage, once each.
    """

    def __init__(self, stop: Callable[[], StopRequest | None], listener: Listener, seconds: float = SECONDS) -> None:
        self.stop, self.listener, self.seconds = stop, listener, seconds
        self.since: float | None = None

    def __call__(self, problem: StorageError | None) -> bool:
        """Whether to try again after `problem`, which is None once the database answers again."""
        now = time.monotonic()
        if problem is None:
            if self.since is not None:
                self.listener(StorageRecovered(now - self.since))
            self.since = None
            return True
        if self.since is None:
            self.since = now
            self.listener(StorageOutage(str(problem), self.seconds))
        return self.stop() is not StopRequest.NOW and now - self.since < self.seconds
