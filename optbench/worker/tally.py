"""Counts a study's trials, of all workers, as they change in the database."""

import time
from collections.abc import Sequence

from optbench.scheduler.attributes import TrialAttribute
from optbench.scheduler.states import State
from optbench.storage import COUNTED, Follower, TrialRecord, trial_record


class Tally:
    """The study's trials by state, its best trial, and its speed since this object was made."""

    def __init__(self, follower: Follower, total: int) -> None:
        self.follower, self.total = follower, total
        self.counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self.best: TrialRecord | None = None
        self.running: dict[int, int] = {}  # epochs of the running trials, by number
        self.epochs = 0  # of the trials that have ended
        self.ended_epochs = 0  # of the trials that ended since this object was made
        self.update()
        self.start, self.trained_before, self.done_before = time.monotonic(), self.trained, self.done
        self.ended_epochs = 0

    @property
    def done(self) -> int:
        """The number of finished trials, including those of earlier runs."""
        return sum(self.counts.values())

    @property
    def trained(self) -> int:
        """The number of epochs of all trials."""
        return self.epochs + sum(self.running.values())

    @property
    def seconds(self) -> float:
        """The seconds since this object was made; never 0."""
        return max(time.monotonic() - self.start, 1e-9)

    @property
    def speed(self) -> float:
        """Epochs per second, of all trials together."""
        return (self.trained - self.trained_before) / self.seconds

    @property
    def seconds_left(self) -> float | None:
        """The expected seconds until the total is reached; None while no trial has ended.

        It assumes that future trials train as many epochs as those that have ended.
        """
        ended = self.done - self.done_before
        if not ended or not self.speed:
            return None
        expected = (self.total - self.done) * self.ended_epochs / ended
        return max(0.0, expected - sum(self.running.values())) / self.speed

    def update(self) -> Sequence[TrialRecord]:
        """The trials that were finished since the last call, which are now counted."""
        finished = []
        for frozen in self.follower.updates():
            if TrialAttribute.SLOT not in frozen.user_attrs:
                continue  # another program's trial
            trial = trial_record(frozen, len(frozen.intermediate_values))
            self.running.pop(trial.number, None)
            if trial.state is State.RUNNING:
                self.running[trial.number] = trial.epochs
                continue
            self.epochs += trial.epochs
            if trial.state in COUNTED:
                self._finish(trial)
                finished.append(trial)
        return finished

    def _finish(self, trial: TrialRecord) -> None:
        self.counts[trial.state] += 1
        self.ended_epochs += trial.epochs
        if trial.state is State.COMPLETE and (self.best is None or (trial.value or 0) > (self.best.value or 0)):
            self.best = trial
