"""The loop of a worker: assign, train, decide, record. It decides nothing about trials and writes nothing itself."""

from collections.abc import Callable, Mapping
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


def run(
    study: Decider,
    trainer: Trainer,
    optimizer: str,
    stop: Callable[[], StopRequest | None],
    listener: Listener,
    test_set: Examples | None = None,
) -> None:
    """Trains trials of one optimizer until none is left, or until `stop`, called before each round, asks to stop.

    `listener` is called with every event. `test_set` are None in a search; in any other study, a trial is scored on
    them after its last epoch. Whatever happens, this loop leaves no trial running.
    """
    assigned: dict[int, Job] = {}
    epochs: dict[int, int] = {}
    reason = STOPPED
    try:
        while (request := stop()) is not StopRequest.NOW:
            if request is None:
                _assign(study, trainer, optimizer, assigned, listener)
            if not assigned:
                return
            epochs |= _round(study, trainer, assigned, listener, test_set)
            listener(RoundFinished())
    except StorageError:
        assigned.clear()  # nothing can be written: other workers take the trials over after the heartbeat timeout
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"[:500]
        raise
    finally:
        if assigned:
            numbers = [job.number for job in assigned.values()]
            interrupted = {n: Ending(Decision.INTERRUPTED, None, epochs.get(n, 0), reason) for n in numbers}
            _record(study, trainer, assigned, {}, interrupted, listener)


def _assign(study: Decider, trainer: Trainer, optimizer: str, assigned: dict[int, Job], listener: Listener) -> None:
    """Fills the free lanes."""
    for lane in range(trainer.lanes):
        if lane not in assigned:
            job = study.ask(optimizer, trainer)
            if job is None:
                return
            assigned[lane] = job
            trainer.assign(lane, job)
            listener(TrialStarted(job, lane))


def _round(
    study: Decider, trainer: Trainer, assigned: dict[int, Job], listener: Listener, test_set: Examples | None
) -> dict[int, int]:
    """The number of epochs of each assigned trial, after training each for one more and ending those that are over."""
    epochs = trainer.train()
    trained = {assigned[lane].number: epoch for lane, epoch in epochs.items()}
    endings: dict[int, Ending] = {}
    for lane, epoch in epochs.items():
        decision = study.decide(assigned[lane], epoch)
        if decision is not Decision.CONTINUE:
            endings[assigned[lane].number] = _ending(decision, epoch, trainer, lane, test_set)
    _record(study, trainer, assigned, trained, endings, listener)
    return {number: epoch.epoch for number, epoch in trained.items()}


def _record(
    study: Decider,
    trainer: Trainer,
    assigned: dict[int, Job],
    trained: Mapping[int, Epoch],
    endings: Mapping[int, Ending],
    listener: Listener,
) -> None:
    """Stores epochs and endings, by trial number, and frees the lanes of trials that ended or were lost."""
    lost = study.record(trained, endings)
    for lane, job in list(assigned.items()):
        if job.number in lost or job.number in endings:
            trainer.release(lane)
            del assigned[lane]
        if job.number in lost:
            listener(TrialLost(job.number))
            continue
        if job.number in trained:
            listener(EpochFinished(job.number, trained[job.number]))
        if job.number in endings:
            listener(TrialFinished(job.number, endings[job.number]))


def _ending(decision: Decision, epoch: Epoch, trainer: Trainer, lane: int, test_set: Examples | None) -> Ending:
    """How a trial ends. A pruned trial keeps its last objective as its value, as in Optuna."""
    if decision is Decision.COMPLETE and test_set is not None:
        return Ending(decision, trainer.test(lane, test_set), epoch.epoch, tested=True)
    return Ending(decision, epoch.objective, epoch.epoch)
