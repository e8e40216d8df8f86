"""The loop of a worker: assign, train, decide, record. It decides nothing about trials and writes nothing itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from optbench.data import Examples
from optbench.errors import StorageError
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.training.contract import Epoch, Job, Trainer
from optbench.worker.events import EpochFinished, Listener, RoundFinished, TrialFinished, TrialLost, TrialStarted
from optbench.worker.stop import StopRequest


class Decider(Protocol):
    """What the loop needs from a scheduler (see `optbench.scheduler.scheduler.Scheduler`)."""

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None: ...
    def decide(self, job: Job, epoch: Epoch) -> Decision: ...
    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]: ...


@dataclass(kw_only=True)
class Loop:
    """Trains trials of one optimizer in the lanes of `trainer`, and calls `listener` with every event.

    `test_set` is None in a search; in any other study, a trial is scored on it after its last epoch.
    """

    study: Decider
    trainer: Trainer
    optimizer: str
    listener: Listener
    test_set: Examples | None = None
    _assigned: dict[int, Job] = field(default_factory=dict, init=False)  # by lane
    _epochs: dict[int, int] = field(default_factory=dict, init=False)  # trained so far, by trial number

    def run(self, stop: Callable[[], StopRequest | None]) -> None:
        """Trains until no trial is left, or until `stop`, called before each round, asks to stop.

        Whatever happens, no trial is left running, unless the database no longer answers.
        """
        reason = STOPPED
        try:
            while (request := stop()) is not StopRequest.NOW:
                if request is None:
                    self._assign()
                if not self._assigned:
                    return
                self._round()
                self.listener(RoundFinished())
        except StorageError:
            for lane in self._assigned:
                self.trainer.release(lane)
            self._assigned.clear()  # nothing can be written: others take the trials over after the heartbeat timeout
            raise
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"[:500]
            raise
        finally:
            if self._assigned:
                numbers = [job.number for job in self._assigned.values()]
                epochs = self._epochs
                self._record({}, {n: Ending(Decision.INTERRUPTED, None, epochs.get(n, 0), reason) for n in numbers})

    def _assign(self) -> None:
        """Fills the free lanes."""
        for lane in range(self.trainer.lanes):
            if lane not in self._assigned:
                if (job := self.study.ask(self.optimizer, self.trainer)) is None:
                    return
                self._assigned[lane] = job
                self.trainer.assign(lane, job)
                self.listener(TrialStarted(job, lane))

    def _round(self) -> None:
        """Trains every assigned trial for one more epoch and ends those that are over."""
        trained: dict[int, Epoch] = {}
        endings: dict[int, Ending] = {}
        for lane, epoch in self.trainer.train().items():
            job = self._assigned[lane]
            trained[job.number] = epoch
            if (decision := self.study.decide(job, epoch)) is not Decision.CONTINUE:
                endings[job.number] = self._ending(decision, epoch, lane)
        self._epochs |= {number: epoch.epoch for number, epoch in trained.items()}
        self._record(trained, endings)

    def _record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> None:
        """Stores epochs and endings, by trial number, and frees the lanes of trials that ended or were lost."""
        lost = self.study.record(trained, endings)
        for lane, job in list(self._assigned.items()):
            if job.number in lost or job.number in endings:
                self.trainer.release(lane)
                del self._assigned[lane]
                self._epochs.pop(job.number, None)
            if job.number in lost:
                self.listener(TrialLost(job.number))
                continue
            if job.number in trained:
                self.listener(EpochFinished(job.number, trained[job.number]))
            if job.number in endings:
                self.listener(TrialFinished(job.number, endings[job.number]))

    def _ending(self, decision: Decision, epoch: Epoch, lane: int) -> Ending:
        """How a trial ends. A pruned trial keeps its last objective as its value, as in Optuna."""
        if decision is Decision.COMPLETE and self.test_set is not None:
            return Ending(decision, self.trainer.test(lane, self.test_set), epoch.epoch, tested=True)
        return Ending(decision, epoch.objective, epoch.epoch)
