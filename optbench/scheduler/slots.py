"""Keeps track of the free slots of a study's budget, by one update for each trial that changed."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from optbench.definition.sweep import Sweep
from optbench.scheduler.plan import optimizer_of, params_of
from optbench.scheduler.states import STOPPED


@dataclass(frozen=True)
class Failure:
    """The parameters of a trial that failed or was interrupted, and why it ended."""

    params: Mapping[str, float]
    reason: str | None


class Slots:
    """The slots 0 to n - 1 of a sweep of n trials. A slot is held by the trial that runs or finished in it.

    `given_up` are slots with fixed parameters (see plan.py) that crashed their workers too often.
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
        """Note that the trial of that number runs or finished in the slot."""
        self.holders[slot] = number

    def fail(self, slot: int, number: int, failure: Failure) -> None:
        """Note that the trial of that number failed or was interrupted, so that its slot is free again."""
        self.failures.setdefault(slot, {})[number] = failure
        if self.holders.get(slot) == number:
            del self.holders[slot]
            if slot < self.sweep.trials:
                heapq.heappush(self.queues[optimizer_of(self.sweep, slot)], slot)
        if slot < self.sweep.trials:
            self._give_up(slot)

    def extend(self, sweep: Sweep) -> None:
        """Add the slots that the list of fixed trials got: `sweep` is this one with a longer list."""
        before, self.sweep = self.sweep.trials, sweep
        for slot in range(before, sweep.trials):
            heapq.heappush(self.queues[optimizer_of(sweep, slot)], slot)
            self._give_up(slot)

    def free(self, optimizer: str) -> int | None:
        """The first free slot of the optimizer; None if there is none."""
        queue = self.queues[optimizer]
        while queue and (queue[0] in self.holders or queue[0] in self.given_up):
            heapq.heappop(queue)
        return queue[0] if queue else None

    @property
    def any_free(self) -> bool:
        """Whether a slot is free."""
        return any(self.free(optimizer) is not None for optimizer in self.queues)

    def retried(self, slot: int) -> dict[str, float] | None:
        """The parameters of the slot's last trial, to try again; None if it has none, or if they failed too often."""
        tried = self._tried(slot)
        return dict(tried[-1].params) if tried and self._times(slot) <= self.retries else None

    def _give_up(self, slot: int) -> None:
        """Give the slot up if its fixed parameters failed too often."""
        if self._times(slot) > self.retries and params_of(self.sweep, slot) is not None:
            self.given_up.add(slot)

    def _tried(self, slot: int) -> list[Failure]:
        """The failures of the slot's trials that had begun to train."""
        return [failure for failure in self.failures.get(slot, {}).values() if failure.params]

    def _times(self, slot: int) -> int:
        """How often the slot's last parameters failed. Trials that Ctrl-C or SIGTERM ended do not count."""
        tried = self._tried(slot)
        return sum(failure.params == tried[-1].params and failure.reason != STOPPED for failure in tried)
