"""The loop: assign, train, decide, record, refill. It decides nothing about trials and writes nothing itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from optbench.errors import StorageError
from optbench.job import STOPPED, Decision, Ending, Epoch, Images, Job, Trainer


class Decider(Protocol):
    """What the loop needs of a study (see study.Study)."""

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None: ...
    def decide(self, job: Job, epoch: Epoch) -> Decision: ...
    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]: ...


def run(
    study: Decider, trainer: Trainer, optimizer: str, stop: Callable[[], str | None], test_images: Images | None = None
) -> Iterator[set[int]]:
    """Trains trials of one optimizer until the study has none left.

    Yields after each recorded round: the numbers of the trials that turned out to be no longer this worker's.

    `stop` is asked before every round: "now" ends the running trials as interrupted, "soon" seats no more of them.
    `test_images` are what a trial is scored on after its last epoch; only studies that select nothing have them.
    Whatever happens in between, no trial of this loop is left running.
    """
    assigned: dict[int, Job] = {}
    epochs: dict[int, int] = {}
    reason = STOPPED
    try:
        while True:
            wish = stop()
            if wish == "now":
                return
            if wish is None:
                _assign(study, trainer, optimizer, assigned)
            if not assigned:
                return
            trained, lost = _round(study, trainer, assigned, test_images)
            epochs |= trained
            yield lost
    except StorageError:
        assigned.clear()  # nothing can be written: this worker's silence will tell
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"[:500]
        raise
    finally:
        if assigned:
            numbers = [job.number for job in assigned.values()]
            study.record({}, {n: Ending(Decision.INTERRUPTED, None, epochs.get(n, 0), reason) for n in numbers})
            for lane in assigned:
                trainer.release(lane)


def _assign(study: Decider, trainer: Trainer, optimizer: str, assigned: dict[int, Job]) -> None:
    """Fill the free lanes."""
    for lane in range(trainer.lanes):
        if lane not in assigned:
            job = study.ask(optimizer, trainer)
            if job is None:
                return
            assigned[lane] = job
            trainer.assign(lane, job)


def _round(
    study: Decider, trainer: Trainer, assigned: dict[int, Job], test_images: Images | None
) -> tuple[dict[int, int], set[int]]:
    """Train every assigned trial for an epoch, write it down, and free the lanes of those that ended.

    Returns how many epochs each has now, and the trials that are no longer this worker's.
    """
    epochs = trainer.train()
    endings: dict[int, Ending] = {}
    for lane, epoch in epochs.items():
        decision = study.decide(assigned[lane], epoch)
        if decision is not Decision.CONTINUE:
            endings[lane] = _ending(decision, epoch, trainer, lane, test_images)
    trained = {assigned[lane].number: epoch for lane, epoch in epochs.items()}
    lost = study.record(trained, {assigned[lane].number: ending for lane, ending in endings.items()})
    for lane, job in list(assigned.items()):
        if lane in endings or job.number in lost:
            trainer.release(lane)
            del assigned[lane]
    return {number: epoch.epoch for number, epoch in trained.items()}, lost


def _ending(decision: Decision, epoch: Epoch, trainer: Trainer, lane: int, test_images: Images | None) -> Ending:
    """How a trial ends; a pruned one keeps its last report as its value, as Optuna has it."""
    if decision is Decision.COMPLETE and test_images is not None:
        return Ending(decision, trainer.test(lane, test_images), epoch.epoch, tested=True)
    return Ending(decision, epoch.objective, epoch.epoch)
