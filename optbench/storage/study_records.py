"""A study as a record with its trials counted by state, and messages about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optbench.definition.sweep import Sweep
from optbench.errors import StudyError
from optbench.scheduler.states import State

COUNTED = (State.COMPLETE, State.PRUNED, State.DIVERGED)
"""The states of a finished trial. The slots of interrupted and failed trials are trained again."""


@dataclass(frozen=True)
class StudyRecord:
    """One study, with its trials counted by state.

    `sweep` is None if another program made it; `best` is None also if nothing is selected in it.
    `origin` is the present name of the study whose configurations it confirms, or the last one if that was deleted.
    """

    study_id: int
    name: str
    fingerprint: Mapping[str, Any]
    versions: Mapping[str, str]
    metric: str
    total: int | None
    counts: Mapping[State, int]
    best: float | None
    epochs: int
    changed: datetime | None
    workers: int
    origin: str | None = None
    origin_token: str | None = None
    repeat_of: str | None = None  # the name that the repeats of a sweep share
    token: str | None = None  # its identity, which outlives its name; None: another program made or copied it
    sweep: Sweep | None = None

    @property
    def state(self) -> str:
        """running, done (it has its total) or interrupted."""
        done = self.total is not None and self.finished >= self.total
        if self.counts[State.RUNNING] or (self.workers and not done):
            return "running"
        return "done" if done else "interrupted"

    @property
    def finished(self) -> int:
        """How many trials count towards the total."""
        return sum(self.counts[state] for state in COUNTED)

    @property
    def unfinished(self) -> str | None:
        """The warning to print with its best trial while the study is unfinished; None once it is done."""
        if self.state == "done":
            return None
        return f"{self.name}: {self.finished} of its {self.total} trials are finished, so its best may change"

    @property
    def by_state(self) -> str:
        """How many trials there are of each state, in words."""
        return ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)

    def confirms(self, study: "StudyRecord") -> bool:
        """Whether it confirms that study. Confirmations that an older optbench made know it by its name only."""
        if self.origin_token is not None:
            return self.origin_token == study.token and self.origin == study.name
        return self.origin is not None and self.origin == study.name

    @property
    def searches(self) -> bool:
        """Whether optbench made it and selects in it."""
        return self.sweep is not None and self.sweep.searches

    @property
    def optimizer(self) -> str:
        """The optimizer, or the several of a list of fixed trials."""
        return "?" if self.sweep is None else self.sweep.optimizer or ", ".join(self.sweep.optimizers)


def glance(study: StudyRecord | None) -> dict[str, Any]:
    """What the dashboard's attributes show of a study at a glance: the names alone if it is still to be made."""
    if study is None:
        return dict.fromkeys(("state", "finished", "by state", "best", "epochs consumed"))
    return {
        "state": study.state,
        "finished": f"{study.finished}/{study.total}",
        "by state": study.by_state,
        "best": study.best,
        "epochs consumed": study.epochs,
    }


def lacks_best(study: StudyRecord) -> StudyError:
    """The error for a study that is asked for its best trial and has no complete one."""
    if study.state == "done":
        ends = f"all of its {study.total} trials diverged or were pruned"
        return StudyError(f"study {study.name!r} has no complete trial: {ends}; sweep another [space]")
    sweep = study.sweep.name if study.sweep else study.name
    return StudyError(f"study {study.name!r} has no complete trial yet; `optbench sweep {sweep}` carries it on")
