"""The loop: seat, train, judge, record, refill. It decides nothing about trials and writes nothing itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from optbench.errors import StorageError
from optbench.job import STOPPED, Ending, Epoch, Images, Job, Trainer, Verdict


class Decider(Protocol):
    """What the loop needs of a study (see study.Study)."""

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None: ...
    def judge(self, job: Job, epoch: Epoch) -> Verdict: ...
    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]: ...


def run(
    study: Decider, trainer: Trainer, optimizer: str, stop: Callable[[], str | None], exam: Images | None = None
) -> Iterator[set[int]]:
    """Trains trials of one optimizer until the study has none left.

    Yields after each recorded round: the numbers of the trials that turned out to be no longer this worker's.

    `stop` is asked before every round: "now" ends the running trials as interrupted, "soon" seats no more of them.
    `exam` are test images that a trial is scored on after its last epoch; only studies that select nothing have them.
    Whatever happens in between, no trial of this loop is left running.
    """
    seated: dict[int, Job] = {}
    epochs: dict[int, int] = {}
    reason = STOPPED
    try:
        while True:
            wish = stop()
            if wish == "now":
                return
            if wish is None:
                _seat(study, trainer, optimizer, seated)
            if not seated:
                return
            trained, lost = _round(study, trainer, seated, exam)
            epochs |= trained
            yield lost
    except StorageError:
        seated.clear()  # nothing can be written: this worker's silence will tell
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"[:500]
        raise
    finally:
        if seated:
            numbers = [job.number for job in seated.values()]
            study.record({}, {n: Ending(Verdict.INTERRUPTED, None, epochs.get(n, 0), reason) for n in numbers})
            for lane in seated:
                trainer.leave(lane)


def _seat(study: Decider, trainer: Trainer, optimizer: str, seated: dict[int, Job]) -> None:
    """Fill the free lanes."""
    for lane in range(trainer.lanes):
        if lane not in seated:
            job = study.ask(optimizer, trainer)
            if job is None:
                return
            seated[lane] = job
            trainer.seat(lane, job)


def _round(
    study: Decider, trainer: Trainer, seated: dict[int, Job], exam: Images | None
) -> tuple[dict[int, int], set[int]]:
    """Train every seated trial for an epoch, write it down, and free the lanes of those that ended.

    Returns how many epochs each has now, and the trials that are no longer this worker's.
    """
    epochs = trainer.train()
    endings: dict[int, Ending] = {}
    for lane, epoch in epochs.items():
        verdict = study.judge(seated[lane], epoch)
        if verdict is not Verdict.CONTINUE:
            endings[lane] = _ending(verdict, epoch, trainer, lane, exam)
    trained = {seated[lane].number: epoch for lane, epoch in epochs.items()}
    lost = study.record(trained, {seated[lane].number: ending for lane, ending in endings.items()})
    for lane, job in list(seated.items()):
        if lane in endings or job.number in lost:
            trainer.leave(lane)
            del seated[lane]
    return {number: epoch.epoch for number, epoch in trained.items()}, lost


def _ending(verdict: Verdict, epoch: Epoch, trainer: Trainer, lane: int, exam: Images | None) -> Ending:
    """How a trial ends; a pruned one keeps its last report as its value, as Optuna has it."""
    if verdict is Verdict.COMPLETE and exam is not None:
        return Ending(verdict, trainer.test(lane, exam), epoch.epoch, tested=True)
    return Ending(verdict, epoch.objective, epoch.epoch)
