"""A study as a record with its trials counted by state, and messages about it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optbench.data.dataset import Facts
from optbench.definition.sweep import Sweep
from optbench.errors import StudyError
from optbench.scheduler.attributes import StudyAttribute
from optbench.scheduler.finals import FinalsPlan
from optbench.scheduler.states import Role, State, StudyState
from optbench.storage.about import About
from optbench.storage.finals_records import FinalsRecord

COUNTED = (State.COMPLETE, State.PRUNED, State.DIVERGED)
"""The states of a finished trial. The slots of interrupted and failed trials are trained again."""
SUMMARY = (
    StudyAttribute.STATE.value,
    StudyAttribute.FINISHED.value,
    StudyAttribute.BY_STATE.value,
    StudyAttribute.BEST.value,
    StudyAttribute.EPOCHS_CONSUMED.value,
)


@dataclass(frozen=True)
class UntilDecided:
    """How far a confirmation was asked to go: until a difference or equality within `equal` percentage points is shown,
    or to `max_seeds`.
    """

    equal: float
    max_seeds: int


@dataclass(frozen=True)
class StudyRecord:
    """One study, with its trials counted by state.

    `sweep` and `facts` (of its data set) are None if another program made the study. `best` is the mean of the
    winner of the study's finals over its fresh seeds, or, while there are no finals that are done, the best single
    run; None while no trial is complete, and in a study that selects nothing. `finals` are those of this search;
    `plan` is that of a study that is finals itself. `role` is None if another program made it. `origin` is the
    current name of the search whose configurations it trains again, or its last name if that was deleted.
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
    about: About = field(default_factory=About)
    role: Role | None = None
    plan: FinalsPlan | None = None
    finals: FinalsRecord | None = None
    origin: str | None = None
    origin_token: str | None = None
    until_decided: UntilDecided | None = None  # None: its number of seeds does not depend on what they showed
    repeat_of: str | None = None  # the name that the repeats of a sweep share
    token: str | None = None  # its identity, which a rename does not change; None: another program made or copied it
    sweep: Sweep | None = None
    facts: Facts | None = None

    @property
    def state(self) -> StudyState:
        """Whether trials are running, all are done, or the study waits to be carried on."""
        done = self.total is not None and self.finished >= self.total
        if self.counts[State.RUNNING] or (self.workers and not done):
            return StudyState.RUNNING
        return StudyState.DONE if done else StudyState.INTERRUPTED

    @property
    def finished(self) -> int:
        """The number of trials that count towards the total."""
        return sum(self.counts[state] for state in COUNTED)

    @property
    def digests(self) -> dict[str, Any]:
        """What the fingerprint has of the data beside the definition: found when the data was loaded."""
        own = self.sweep.fingerprint({}) if self.sweep else {}
        return {key: value for key, value in self.fingerprint.items() if key not in own}

    @property
    def free_slots(self) -> int:
        """The number of trials that nobody runs and that are not finished; those of dead workers are among them."""
        total, running = self.total or 0, self.counts[State.RUNNING]
        listed = min(total, len(self.sweep.fixed)) if self.sweep and not self.sweep.searches else total
        if not running and self.finished >= listed:
            listed = total  # the next round of finals is still to be appended
        return max(listed - self.finished - running, 0)

    @property
    def unfinished(self) -> str | None:
        """The warning to print next to the best trial of an unfinished study; None once it is done."""
        if self.state is StudyState.DONE:
            return None
        return f"{self.name}: {self.finished} of its {self.total} trials are finished, so its best may change"

    @property
    def by_state(self) -> str:
        """The number of trials in each state, in words."""
        return ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)

    def confirms(self, study: "StudyRecord") -> bool:
        """Whether it is a confirmation of that study."""
        return self.role is Role.CONFIRMATION and self.derives_from(study)

    def derives_from(self, study: "StudyRecord") -> bool:
        """Whether it trains configurations of that study again, as a confirmation or as finals.

        A confirmation by an older optbench stores only the name of its study.
        """
        if self.origin_token is not None:
            return self.origin_token == study.token and self.origin == study.name
        return self.origin is not None and self.origin == study.name

    @property
    def searches(self) -> bool:
        """Whether it is a search that optbench made."""
        return self.sweep is not None and self.sweep.searches

    @property
    def optimizer(self) -> str:
        """The name of the optimizer, or of all optimizers of a list of fixed trials; ? in another program's study."""
        return "?" if self.sweep is None else self.sweep.optimizer or ", ".join(self.sweep.optimizers)


def sweep_of(study: StudyRecord) -> Sweep:
    """The study's sweep. Raises StudyError if another program made the study."""
    if study.sweep is None:
        raise StudyError(f"study {study.name!r} was not made by optbench; expected one that `optbench sweep` made")
    return study.sweep


def glance(study: StudyRecord | None) -> dict[str, Any]:
    """The attributes that summarize a study in the dashboard, by name; without values for a study still to be made."""
    if study is None:
        return dict.fromkeys(SUMMARY)
    values = study.state.value, f"{study.finished}/{study.total}", study.by_state, study.best, study.epochs
    return dict(zip(SUMMARY, values, strict=True))


def derived_name(name: str, ending: str) -> str:
    """The name of a study that belongs to the search `name`, for example NAME/confirm, cut to the longest allowed."""
    return f"{name[:280]}/{ending}"


def lacks_best(study: StudyRecord) -> StudyError:
    """The error to raise if the best trial is asked for and no trial is complete."""
    if study.state is StudyState.DONE:
        ends = f"all of its {study.total} trials diverged or were pruned"
        return StudyError(f"study {study.name!r} has no complete trial: {ends}; sweep another [space]")
    return StudyError(
        f"study {study.name!r} has no complete trial yet; `optbench resume {shlex.quote(study.name)}` carries it on"
    )
