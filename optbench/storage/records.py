"""Reads studies, trials and curves back, as plain records. Nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optbench.errors import StudyError, nearest
from optbench.job import Epoch
from optbench.storage.engine import Storage, shown
from optbench.storage.follow import read_trials
from optbench.storage.schema import epochs, models
from optbench.storage.workers import alive, running

COUNTED = (
    "complete",
    "pruned",
    "diverged",
)  # the states of a finished trial; "failed" ones, and those whose worker is gone, are tried again


@dataclass(frozen=True)
class TrialRecord:
    """One trial's row. `value` is its objective, only when it is complete; `epochs` is how many it trained."""

    number: int
    trial_id: int
    state: str
    value: float | None
    label: str | None
    optimizer: str
    params: Mapping[str, float]
    hyperparameters: Mapping[str, float]
    seed: int | None
    epochs: int
    lanes: int | None
    trainer: str | None
    reason: str | None


@dataclass(frozen=True)
class StudyRecord:
    """One study and its trials by state. `definition` and `best` are None for a study that optbench did not make."""

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


def studies(storage: Storage) -> list[StudyRecord]:
    """Every study, oldest first."""
    return storage.read(lambda session: [_study(session, found) for found in storage.optuna.get_all_studies()])


def find_study(storage: Storage, name: str) -> StudyRecord:
    """The study of that name; a StudyError names the nearest one."""
    found = {study.study_name: study for study in storage.read(lambda _: storage.optuna.get_all_studies())}
    if name not in found:
        raise StudyError(f"no study {name!r} in {shown(storage.url)}; {nearest(name, found)}")
    return storage.read(lambda session: _study(session, found[name]))


def trials(storage: Storage, study: StudyRecord) -> list[TrialRecord]:
    """Every trial of the study, by number."""

    def work(session: Session) -> list[TrialRecord]:
        query = (
            select(models.TrialModel.trial_id, func.count(epochs.c.epoch))
            .join(epochs, epochs.c.trial_id == models.TrialModel.trial_id)
            .where(models.TrialModel.study_id == study.study_id)
            .group_by(models.TrialModel.trial_id)
        )
        trained: dict[int, int] = {row[0]: row[1] for row in session.execute(query)}
        found = read_trials(session, study.study_id)
        return [trial_record(trial, trained.get(trial._trial_id, 0)) for trial in found]

    return storage.read(work)


def curve(storage: Storage, trial_id: int) -> list[Epoch]:
    """Every epoch of a trial, in order; a loss that was not finite reads as NaN."""
    query = select(epochs).where(epochs.c.trial_id == trial_id).order_by(epochs.c.epoch)
    return storage.read(lambda session: [_epoch(row) for row in session.execute(query)])


def _study(session: Session, frozen: Any) -> StudyRecord:
    attrs, study_id = frozen.user_attrs, frozen._study_id
    if not isinstance(attrs.get("definition"), dict) or not isinstance(attrs.get("fingerprint"), dict):
        attrs = {}  # another program's: what its attributes mean is not known here
    trial, value = models.TrialModel, models.TrialValueModel
    of_study = trial.study_id == study_id
    attribute = models.TrialUserAttributeModel
    lost = select(attribute.trial_id).where(attribute.key == "diverged", attribute.value_json == "true")
    best = session.scalar(
        select(func.max(value.value))
        .join_from(value, trial)
        .where(of_study, trial.state == TrialState.COMPLETE, trial.trial_id.not_in(lost))
    )
    trained = session.scalar(
        select(func.count()).join_from(epochs, trial, epochs.c.trial_id == trial.trial_id).where(of_study)
    )
    changed = session.scalar(
        select(func.max(func.coalesce(trial._datetime_complete_utc, trial._datetime_start_utc))).where(of_study)
    )
    metric = (frozen.system_attrs.get("study:metric_names") or ["value"])[0]
    return StudyRecord(
        study_id, frozen.study_name, attrs.get("definition"), attrs.get("fingerprint", {}), attrs.get("versions", {}),
        metric, attrs.get("trials"), _counts(session, study_id, lost), best if attrs else None, trained or 0, changed,
        len(alive(session, study_id)),
    )  # fmt: skip


def _counts(session: Session, study_id: int, lost: Any) -> dict[str, int]:
    trial = models.TrialModel
    of_study = trial.study_id == study_id
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


def trial_record(trial: FrozenTrial, trained: int) -> TrialRecord:
    """The record of a trial as Optuna reads it, which trained so many epochs."""
    attrs = trial.user_attrs
    state = {"fail": "failed"}.get(trial.state.name.lower(), trial.state.name.lower())
    if attrs.get("diverged"):
        state = "diverged"
    return TrialRecord(
        trial.number, trial._trial_id, state, trial.values[0] if trial.state == TrialState.COMPLETE else None,
        attrs.get("label"), attrs.get("optimizer", "?"), trial.params, attrs.get("hyperparameters", {}),
        attrs.get("seed"), trained, attrs.get("lanes"), attrs.get("trainer"), attrs.get("reason"),
    )  # fmt: skip


def _epoch(row: Any) -> Epoch:
    validated = row.validation_accuracy is not None
    lost = float("nan")
    return Epoch(
        row.epoch,
        lost if row.train_loss is None else row.train_loss,
        row.train_accuracy,
        (lost if row.validation_loss is None else row.validation_loss) if validated else None,
        row.validation_accuracy,
        row.seconds,
    )


def best_trials(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, best value first; pruned and diverged ones never win."""
    complete = [record for record in records if record.state == "complete"]
    return sorted(complete, key=lambda record: (-(record.value or 0.0), record.number))
