"""Which studies crashed this worker, or the processes that were this worker before it, again and again."""

import os
from collections import Counter
from datetime import UTC, datetime
from itertools import takewhile

from optbench.scheduler.states import Decision
from optbench.storage import Storage, trials
from optbench.storage.pool import last_held
from optbench.storage.queue import Place
from optbench.storage.study_records import COUNTED
from optbench.storage.worker_names import name_of, process_of
from optbench.worker.events import Event, Listener, TrialFinished
from optbench.worker.stop import PREDECESSORS, SERIES


class Crashes:
    """Counts the crashes of each study in a row. A study that is submitted or resumed begins anew.

    A study may crash a worker once more often than hyperparameters may, so that a search leaves bad ones behind.
    """

    def __init__(self, storage: Storage, retries: int) -> None:
        self.storage, self.most = storage, retries + 1
        self.times: Counter[tuple[int, datetime]] = Counter()
        self.sound: set[tuple[int, datetime]] = set()  # those of which a trial was finished here
        killed, series = os.environ.get(PREDECESSORS, "").split(), os.environ.get(SERIES, "")
        self.predecessors = [name_of(int(process), series) for process in killed]

    def listener(self, place: Place) -> Listener:
        """Forgets the crashes of the study once a trial of it is finished here."""

        def forget(event: Event) -> None:
            if isinstance(event, TrialFinished) and event.ending.decision is not Decision.INTERRUPTED:
                self.times.pop((place.study_id, place.asked), None)
                self.sound.add((place.study_id, place.asked))

        return forget

    def add(self, place: Place) -> int:
        """How often in a row the study has crashed this worker, with this time."""
        self.times[place.study_id, place.asked] += 1
        return self.times[place.study_id, place.asked]

    def killed(self, place: Place) -> int:
        """How many of the processes before this one were killed while they trained the study, in a row.

        A row ends with a process that finished a trial of it.
        """
        if not self.predecessors or (place.study_id, place.asked) in self.sound:
            return 0
        held = last_held(self.storage, self.predecessors)
        victims = {one: at for one, (study, at) in held.items() if study == place.study and at >= place.asked}
        if not victims:
            return 0
        found = [one for one in trials(self.storage, place.study_id) if one.worker is not None and one.state in COUNTED]
        last = {process_of(one.worker or ""): _utc(one.ended) for one in found}

        def is_sound(worker: str) -> bool:  # the process may have the id of an older one
            return last.get(process_of(worker), datetime.min) >= victims[worker]

        theirs = (one for one in reversed(self.predecessors) if one in victims)
        return sum(1 for _ in takewhile(lambda one: not is_sound(one), theirs))


def _utc(moment: datetime | None) -> datetime:
    """A local time in UTC, as the database's clock has it."""
    return datetime.min if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
