"""Shows a study of the queue until it is finished, wherever its workers are."""

import time
from collections.abc import Callable

from optbench.errors import StudyError
from optbench.storage import Follower, Storage, StudyRecord, find_study
from optbench.storage.queue import find_place
from optbench.worker.patience import Patience
from optbench.worker.progress import Progress
from optbench.worker.screens import Screen
from optbench.worker.stop import Stop
from optbench.worker.submission import finished

SECONDS = 1.0  # between two looks at the queue


def follow(storage: Storage, name: str, stop: Stop, screen: Screen, over: Callable[[], bool]) -> bool:
    """Whether the study and its finals are finished, after showing their progress until then or until `over`.

    Raises StudyError if a worker found that the study can never run.
    """
    left = _watch(storage, find_study(storage, name), stop, screen, over)
    study = find_study(storage, name)
    if not left or finished(study) or study.finals is None or study.finals.done:
        return left
    return follow(storage, study.finals.study, stop, screen, over)


def _watch(storage: Storage, study: StudyRecord, stop: Stop, screen: Screen, over: Callable[[], bool]) -> bool:
    """Whether the study has left the queue, because it is finished."""
    follower = Follower(storage, study.study_id, study.name)
    with Progress(screen, follower, study.total or 0, stop, study.plan) as progress:
        storage.outage = Patience(stop, progress)
        looked = -SECONDS
        while True:
            if time.monotonic() - looked >= SECONDS:
                place, looked = find_place(storage, study.study_id), time.monotonic()
                if place is None:
                    progress.look(now=True)
                    return True
                if place.problem is not None:
                    raise StudyError(f"study {study.name!r} can never run: {place.problem}")
            progress.look()
            if over():
                progress.look(now=True)
                return find_place(storage, study.study_id) is None  # the last worker may have concluded it just now
            time.sleep(0.1)
