"""Reads a study's trials as they change: whoever follows a study never reads a finished trial twice."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from optbench.errors import StudyError
from optbench.storage.engine import Storage


class Follower:
    """What one reader has seen of a study; `count` trials so far."""

    def __init__(self, storage: Storage, study_id: int, name: str) -> None:
        self.storage, self.study_id, self.name = storage, study_id, name
        self.last, self.unfinished, self.count = -1, set[int](), 0

    def news(self) -> Sequence[FrozenTrial]:
        """The trials that are new or were unfinished when they were last read, by number. Raises StudyError."""
        try:
            found = self.storage.read(
                lambda _: self.storage.optuna._get_trials(self.study_id, None, self.unfinished, self.last)
            )
        except KeyError as problem:
            raise StudyError(
                f"study {self.name!r} was deleted or renamed by another program; `optbench studies` lists what is there"
            ) from problem
        for trial in found:
            self.last = max(self.last, trial._trial_id)
            self.count = max(self.count, trial.number + 1)
            (self.unfinished.discard if trial.state.is_finished() else self.unfinished.add)(trial._trial_id)
        return found
