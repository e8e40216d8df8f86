"""Reads studies back, as plain records with their trials counted by state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from optbench.definition.fingerprint import expand
from optbench.definition.stored import read_sweep
from optbench.errors import StudyError, nearest
from optbench.storage.engine import Storage, shown
from optbench.storage.schema import ATTACHED, models
from optbench.storage.workers import alive, running
from optbench.sweep import Sweep

COUNTED = ("complete", "pruned", "diverged")
"""The states of a finished trial; "failed" ones, and those whose worker is gone, are tried again."""


@dataclass(frozen=True)
class StudyRecord:
    """One study and its trials by state.

    `sweep` and `definition` are None where optbench did not make it; `best` also where nothing is selected.
    """

    study_id: int
    name: str
    definition: Mapping[str, Any] | None
    fingerprint: Mapping[str, Any]
    versions: Mapping[str, str]
    metric: str
    total: int | None
    counts: Mapping[str, int]
    best: float | None
    epochs: int
    changed: datetime | None
    workers: int
    origin: str | None  # the study whose configurations it confirms
    sweep: Sweep | None = None

    @property
    def state(self) -> str:
        """running, done (it has its total) or interrupted."""
        done = self.total is not None and self.finished >= self.total
        if self.counts["running"] or (self.workers and not done):
            return "running"
        return "done" if done else "interrupted"

    @property
    def finished(self) -> int:
        """How many trials count towards the total."""
        return sum(self.counts[state] for state in COUNTED)

    @property
    def unfinished(self) -> str | None:
        """What is to be said where its best is asked for before it has its total."""
        if self.state == "done":
            return None
        return f"{self.name}: {self.finished} of its {self.total} trials are finished, so its best may change"

    @property
    def by_state(self) -> str:
        """How many trials there are of each state, in words."""
        return ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)

    @property
    def searches(self) -> bool:
        """Whether optbench made it and selects in it."""
        return self.definition is not None and "space" in self.definition

    @property
    def optimizer(self) -> str:
        """The optimizer, or the several of a list of fixed trials."""
        if self.definition is None:
            return "?"
        listed = dict.fromkeys(trial["optimizer"] for trial in self.definition.get("trial", []))
        return str(self.definition.get("optimizer") or ", ".join(listed))


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
    """What is to be said where a study is asked for its best trial and has no complete one."""
    if study.state == "done":
        ends = f"all of its {study.total} trials diverged or were pruned"
        return StudyError(f"study {study.name!r} has no complete trial: {ends}; sweep another [space]")
    sweep = (study.definition or {}).get("name", study.name)
    return StudyError(f"study {study.name!r} has no complete trial yet; `optbench sweep {sweep}` carries it on")


def studies(storage: Storage) -> list[StudyRecord]:
    """Every study, oldest first."""
    return storage.read(lambda session: [_study(session, found) for found in storage.optuna.get_all_studies()])


def find_study(storage: Storage, name: str) -> StudyRecord:
    """The study of that name; a StudyError names the nearest one."""
    found = {study.study_name: study for study in storage.read(lambda _: storage.optuna.get_all_studies())}
    if name not in found:
        raise StudyError(f"no study {name!r} in {shown(storage.url)}; {nearest(name, found)}")
    return storage.read(lambda session: _study(session, found[name]))


def _study(session: Session, frozen: Any) -> StudyRecord:
    attrs, study_id = frozen.user_attrs, frozen._study_id
    if not isinstance(attrs.get("definition"), dict) or not isinstance(attrs.get("fingerprint"), dict):
        attrs = {}  # another program's: what its attributes mean is not known here
    trial, value = models.TrialModel, models.TrialValueModel
    attribute = models.TrialUserAttributeModel
    of_study = trial.study_id == study_id
    if attrs:  # trials that another program added to a study of ours count for nothing
        slotted = select(attribute.trial_id).where(attribute.key == "slot")
        of_study = and_(of_study, trial.trial_id.in_(slotted))
    lost = select(attribute.trial_id).where(attribute.key == "diverged", attribute.value_json == "true")
    best = session.scalar(
        select(func.max(value.value))
        .join_from(value, trial)
        .where(of_study, trial.state == TrialState.COMPLETE, trial.trial_id.not_in(lost))
    )
    trained = session.scalar(select(func.count()).select_from(ATTACHED).where(of_study))
    changed = session.scalar(
        select(func.max(func.coalesce(trial._datetime_complete_utc, trial._datetime_start_utc))).where(of_study)
    )
    if "space" not in attrs.get("definition", {}):
        best = None
    metric = (frozen.system_attrs.get("study:metric_names") or ["value"])[0]
    return StudyRecord(
        study_id=study_id,
        name=frozen.study_name,
        definition=attrs.get("definition"),
        fingerprint=expand(attrs["fingerprint"]) if attrs else {},
        versions=attrs.get("versions", {}),
        metric=metric,
        total=attrs.get("trials"),
        counts=_counts(session, study_id, of_study, lost),
        best=best,
        epochs=trained or 0,
        changed=changed,
        workers=len(alive(session, study_id)),
        origin=attrs.get("origin"),
        sweep=_sweep(attrs.get("definition")),
    )


def _sweep(definition: Mapping[str, Any] | None) -> Sweep | None:
    """The sweep that a study's attribute describes; None if it does not describe one."""
    try:
        return None if definition is None else read_sweep(definition)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _counts(session: Session, study_id: int, of_study: Any, lost: Any) -> dict[str, int]:
    trial = models.TrialModel
    rows = session.execute(select(trial.state, func.count()).where(of_study).group_by(trial.state))
    states: dict[Any, int] = {row[0]: row[1] for row in rows}
    diverged = session.scalar(select(func.count()).where(of_study, trial.trial_id.in_(lost))) or 0
    living = alive(session, study_id)
    live = sum(worker in living for _, worker in running(session, study_id))
    return {
        "complete": states.get(TrialState.COMPLETE, 0) - diverged,
        "pruned": states.get(TrialState.PRUNED, 0),
        "diverged": diverged,
        "running": live,
        "failed": states.get(TrialState.FAIL, 0) + states.get(TrialState.RUNNING, 0) - live,
    }
