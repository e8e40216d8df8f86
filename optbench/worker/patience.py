"""How long a worker keeps trying while its database does not answer."""

import time
from collections.abc import Callable

from optbench.errors import StorageError
from optbench.worker.events import Listener, StorageOutage, StorageRecovered
from optbench.worker.stop import StopRequest

SECONDS = 600.0


class Patience:
    """Decides after each failed attempt whether to try again; an open database calls it (see `Storage.outage`).

    Reports the beginning of an outage and its end, each once.
    """

    def __init__(self, stop: Callable[[], StopRequest | None], listener: Listener, seconds: float = SECONDS) -> None:
        self.stop, self.listener, self.seconds = stop, listener, seconds
        self.since: float | None = None

    def __call__(self, problem: StorageError | None) -> bool:
        """Whether to try again after `problem`; None says that the database answers again."""
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
