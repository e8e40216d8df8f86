"""A listener that logs what a worker reports."""

import logging

from optbench.worker.events import Event, RoundFinished, StorageOutage, TrialLost

log = logging.getLogger("optbench.worker")


def log_event(event: Event) -> None:
    """Logs lost trials and outages at level info, and every other event except rounds at level debug."""
    match event:
        case RoundFinished():
            return
        case StorageOutage() | TrialLost():
            log.info("%s", event)
        case _:
            log.debug("%s", event)
