"""What a worker of the pool prints: a line for each study that it takes, each trial that ends, and each outage."""

from datetime import datetime

from optbench.errors import counted
from optbench.worker.events import (
    Event,
    StorageOutage,
    StorageRecovered,
    StudyLeft,
    StudyOpened,
    TrialFinished,
    TrialLost,
)


class Journal:
    """A listener that prints what happens to the trials of one study in this worker."""

    def __init__(self, study: str) -> None:
        self.study = study

    def __call__(self, event: Event) -> None:
        """Prints the event, if people want to know it."""
        match event:
            case StudyOpened():
                say(f"{self.study}: {event.finished} of {event.total} trials are finished")
            case TrialFinished(number, ending):
                value = "" if ending.value is None else f": {100 * ending.value:.2f} %"
                say(f"{self.study}: trial {number} {ending.decision} after {counted(ending.epochs, 'epoch')}{value}")
            case TrialLost(number):
                say(f"{self.study}: trial {number} is no longer this worker's")
            case StorageOutage(problem, patience):
                say(f"{problem}; trying again for {patience / 60:.0f} minutes")
            case StorageRecovered():
                say("the database answers again")
            case StudyLeft():
                say(f"{self.study}: left")


def say(line: str) -> None:
    """Print a line with the time, at once: a service manager or a batch system keeps it."""
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {' '.join(line.split())}", flush=True)
