"""Which slots of a study's budget are free, kept up from its trials as they are read: no trial is looked at twice."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from optbench.definition.sweep import Sweep
from optbench.scheduler.plan import optimizer_of, params_of
from optbench.scheduler.states import STOPPED


@dataclass(frozen=True)
class Failure:
    """What a trial that came to nothing was training, and why it ended."""

    params: Mapping[str, float]
    reason: str | None


class Slots:
    """The slots 0..n-1 of a sweep of n trials; a slot is held by the one trial that runs or finished there.

    `given_up` are those whose parameters the plan gives, and that failed too often with them.
    """

    def __init__(self, sweep: Sweep, retries: int) -> None:
        self.sweep, self.retries = sweep, retries
        self.queues: dict[str, list[int]] = {optimizer: [] for optimizer in sweep.optimizers}
        for slot in range(sweep.trials):
            self.queues[optimizer_of(sweep, slot)].append(slot)
        self.holders: dict[int, int] = {}
        self.failures: dict[int, dict[int, Failure]] = {}
        self.given_up: set[int] = set()

    def hold(self, slot: int, number: int) -> None:
        """The trial of that number runs or finished there."""
        self.holders[slot] = number

    def fail(self, slot: int, number: int, failure: Failure) -> None:
        """The trial of that number came to nothing there."""
        self.failures.setdefault(slot, {})[number] = failure
        if self.holders.get(slot) == number:
            del self.holders[slot]
            if slot < self.sweep.trials:
                heapq.heappush(self.queues[optimizer_of(self.sweep, slot)], slot)
        if slot < self.sweep.trials and self._times(slot) > self.retries and params_of(self.sweep, slot) is not None:
            self.given_up.add(slot)

    def free(self, optimizer: str) -> int | None:
        """The first free slot of the optimizer."""
        queue = self.queues[optimizer]
        while queue and (queue[0] in self.holders or queue[0] in self.given_up):
            heapq.heappop(queue)
        return queue[0] if queue else None

    def retried(self, slot: int) -> dict[str, float] | None:
        """The parameters that the slot's last trial failed with, to be tried again; None if they failed too often."""
        tried = self._tried(slot)
        return dict(tried[-1].params) if tried and self._times(slot) <= self.retries else None

    def _tried(self, slot: int) -> list[Failure]:
        return [failure for failure in self.failures.get(slot, {}).values() if failure.params]

    def _times(self, slot: int) -> int:
        """How often the slot's last parameters failed; Ctrl-C is no failure of theirs."""
        tried = self._tried(slot)
        return sum(failure.params == tried[-1].params and failure.reason != STOPPED for failure in tried)
