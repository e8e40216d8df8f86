"""Reads studies from the database, in a number of queries that does not grow with the number of studies."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from optbench.definition.fingerprint import expand
from optbench.definition.stored import read_leniently, repeat_of
from optbench.definition.sweep import Sweep
from optbench.errors import StudyError, nearest
from optbench.scheduler.attributes import StudyAttribute, StudySystemAttribute, TrialAttribute
from optbench.scheduler.states import Role, State
from optbench.storage.about import read_about
from optbench.storage.counts import of, trained_epochs
from optbench.storage.engine import Storage, shown
from optbench.storage.facts import facts_in
from optbench.storage.finals_records import FinalsRecord, read_finals, read_plan
from optbench.storage.optuna_private import models, trial_times
from optbench.storage.rows import interrupted
from optbench.storage.study_records import StudyRecord, UntilDecided
from optbench.storage.workers import alive_by_study, running_by_study

OURS = (StudyAttribute.DEFINITION, StudyAttribute.FINGERPRINT)  # only a study that optbench made has these
READ = [
    *OURS,
    StudyAttribute.VERSIONS,
    StudyAttribute.DATASET,
    StudyAttribute.TRIALS,
    StudyAttribute.ROLE,
    StudyAttribute.ORIGIN,
    StudyAttribute.ORIGIN_TOKEN,
    StudyAttribute.FINALS,
    StudyAttribute.UNTIL_DECIDED,
    StudyAttribute.REPEAT_OF,
    StudyAttribute.OWNER,
    StudyAttribute.TAGS,
    StudyAttribute.NOTE,
]


def studies(storage: Storage) -> list[StudyRecord]:
    """Every study, oldest first."""
    return storage.read(lambda session: read_records(session, None))


def find_study(storage: Storage, name: str) -> StudyRecord:
    """The study of that name. Raises StudyError, which names the nearest one, if there is none."""

    def work(session: Session) -> StudyRecord:
        study = models.StudyModel
        rows = session.execute(select(study.study_id, study.study_name).where(study.study_name == name)).all()
        found = [row.study_id for row in rows if row.study_name == name]  # for MariaDB, S and s are the same name
        for record in read_records(session, found) if found else ():
            return record
        names = session.scalars(select(study.study_name)).all()
        raise StudyError(f"no study {name!r} in {shown(storage.url)}; {nearest(name, names)}")

    return storage.read(work)


@dataclass
class _Trials:
    """The trials of a study: `of` is their number by state, `changed` when one last started or ended, in UTC."""

    of: defaultdict[State, int] = field(default_factory=lambda: defaultdict(int))
    best: float | None = None
    changed: datetime | None = None

    def add(self, row: Any) -> None:
        state = _state(row)
        self.of[state] += row.trials
        if row.changed is not None:
            self.changed = max(self.changed or row.changed, row.changed)
        if state is State.COMPLETE and row.best is not None:
            self.best = row.best if self.best is None else max(self.best, row.best)


def read_records(session: Session, study_ids: Collection[int] | None) -> list[StudyRecord]:
    """The records of these studies, or of all. Those that were deleted in between are left out."""
    study = models.StudyModel
    named: dict[int, str] = {row[0]: row[1] for row in session.execute(select(study.study_id, study.study_name))}
    wanted = named.keys() if study_ids is None else named.keys() & set(study_ids)
    attributes = _attributes(session, models.StudyUserAttributeModel, READ, study_ids)
    ours = {i for i in wanted if all(isinstance(attributes[i].get(key), dict) for key in OURS)}
    hidden = _attributes(session, models.StudySystemAttributeModel, list(StudySystemAttribute), None)
    tokens = {i: held.get(StudySystemAttribute.TOKEN) for i, held in hidden.items()}
    counted = _counted(session, study_ids, ours)
    epochs = trained_epochs(session, study_ids)
    running = running_by_study(session)
    workers = alive_by_study(session)  # after it: a worker that has a running trial is already among the workers
    finals = read_finals(session, {str(tokens[i]): i for i in sorted(wanted, reverse=True) if tokens.get(i)})
    read = _Read(
        named=named,
        attributes=attributes,
        hidden=hidden,
        tokens=tokens,
        counted=counted,
        epochs=epochs,
        running=running,
        workers=workers,
        finals=finals,
    )
    return [_record(study_id, study_id in ours, read) for study_id in sorted(wanted)]


@dataclass(frozen=True)
class _Read:
    """What was read about studies, by study id; tokens by study id, too."""

    named: Mapping[int, str]
    attributes: Mapping[int, Mapping[str, Any]]
    hidden: Mapping[int, Mapping[str, Any]]
    tokens: Mapping[int, str | None]
    counted: Mapping[int, _Trials]
    epochs: Mapping[int, int]
    running: Mapping[int, Sequence[str | None]]
    workers: Mapping[int, Collection[str]]
    finals: Mapping[int, FinalsRecord]


def _record(study_id: int, ours: bool, read: _Read) -> StudyRecord:
    """The record of one study; of another program's, unless `ours`, only what every study has."""
    own = read.attributes[study_id] if ours else {}
    trials, living = read.counted[study_id], read.workers.get(study_id, ())
    dead = sum(worker not in living for worker in read.running.get(study_id, ()))
    name, token, finals = read.named[study_id], read.tokens.get(study_id), read.finals.get(study_id)
    sweep = read_leniently(own.get(StudyAttribute.DEFINITION))
    best = trials.best if finals is None or finals.winner is None else finals.winner.mean
    return StudyRecord(
        study_id=study_id,
        name=name,
        sweep=sweep,
        facts=facts_in(own.get(StudyAttribute.DATASET), sweep),
        fingerprint=expand(own[StudyAttribute.FINGERPRINT]) if own else {},
        versions=own.get(StudyAttribute.VERSIONS, {}),
        metric=(read.hidden[study_id].get(StudySystemAttribute.METRIC_NAMES) or ["value"])[0],
        total=own.get(StudyAttribute.TRIALS),
        counts=_counts(trials.of, dead),
        best=best if sweep is not None and sweep.searches else None,
        epochs=read.epochs.get(study_id, 0),
        changed=trials.changed,
        workers=len(living),
        token=token,
        role=_role(own, sweep),
        plan=read_plan(own.get(StudyAttribute.FINALS)),
        finals=finals,
        origin=_origin(own, read.named, read.tokens),
        origin_token=own.get(StudyAttribute.ORIGIN_TOKEN),
        about=read_about(own),
        until_decided=_until_decided(own),
        repeat_of=repeat_of(
            own.get(StudyAttribute.REPEAT_OF), name, own.get(StudyAttribute.FINGERPRINT, {"version": 0})
        ),
    )


def _attributes(
    session: Session, model: Any, keys: Collection[str], study_ids: Collection[int] | None
) -> defaultdict[int, dict[str, Any]]:
    """These attributes by study id."""
    query = select(model.study_id, model.key, model.value_json).where(model.key.in_([str(key) for key in keys]))
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for study_id, key, text in session.execute(of(query, model.study_id, study_ids)):
        found[study_id][key] = json.loads(text)
    return found


def _counted(session: Session, study_ids: Collection[int] | None, ours: Collection[int]) -> defaultdict[int, _Trials]:
    """The trials of each study, counted. Trials that another program added to one of `ours` have no slot: left out."""
    trial, value = models.TrialModel, models.TrialValueModel
    slot, lost, why = (aliased(models.TrialUserAttributeModel) for _ in range(3))
    start, complete = trial_times()
    one = (
        select(
            trial.study_id,
            trial.state,
            slot.key.label("slotted"),
            lost.value_json.label("diverged"),
            why.value_json.label("reason"),
            func.coalesce(complete, start).label("changed"),
            value.value,
        )
        .outerjoin(slot, and_(slot.trial_id == trial.trial_id, slot.key == TrialAttribute.SLOT.value))
        .outerjoin(lost, and_(lost.trial_id == trial.trial_id, lost.key == TrialAttribute.DIVERGED.value))
        .outerjoin(why, and_(why.trial_id == trial.trial_id, why.key == TrialAttribute.REASON.value))
        .outerjoin(value, and_(value.trial_id == trial.trial_id, value.objective == 0))
    )
    each = of(one, trial.study_id, study_ids).subquery()
    groups = each.c.study_id, each.c.state, each.c.slotted, each.c.diverged, each.c.reason
    amounts = func.count().label("trials"), func.max(each.c.changed).label("changed"), func.max(each.c.value)
    found: defaultdict[int, _Trials] = defaultdict(_Trials)
    for row in session.execute(select(*groups, *amounts[:2], amounts[2].label("best")).group_by(*groups)):
        if row.slotted is not None or row.study_id not in ours:
            found[row.study_id].add(row)
    return found


def _state(row: Any) -> State:
    """The state of a group of trials. A running trial whose worker is dead is still RUNNING here."""
    if row.diverged == "true":
        return State.DIVERGED
    if row.state == TrialState.FAIL:
        return State.INTERRUPTED if interrupted(json.loads(row.reason or "null")) else State.FAILED
    return State(TrialState(row.state).name.lower())


def _counts(counted: Mapping[State, int], dead: int) -> dict[State, int]:
    """The number of trials by state. The `dead` running ones, whose workers are dead, count as interrupted."""
    shown = [State.COMPLETE, State.PRUNED, State.DIVERGED, State.RUNNING, State.INTERRUPTED, State.FAILED]
    found = {state: counted.get(state, 0) for state in shown}
    dead = min(dead, found[State.RUNNING])  # it was read a moment later
    found[State.INTERRUPTED] += dead
    found[State.RUNNING] -= dead
    return found


def _role(own: Mapping[str, Any], sweep: Sweep | None) -> Role | None:
    """What the study is for. Studies of earlier versions do not say so."""
    if sweep is None:
        return None
    if stored := own.get(StudyAttribute.ROLE):
        return Role(stored)
    if StudyAttribute.ORIGIN in own:
        return Role.CONFIRMATION
    return Role.SEARCH if sweep.searches else Role.FIXED


def _until_decided(own: Mapping[str, Any]) -> UntilDecided | None:
    held = own.get(StudyAttribute.UNTIL_DECIDED)
    return None if held is None else UntilDecided(equal=held["equal"], max_seeds=held["max_seeds"])


def _origin(own: Mapping[str, Any], named: Mapping[int, str], tokens: Mapping[int, str | None]) -> str | None:
    """The current name of the study that a confirmation confirms, or its last name if it was deleted."""
    name: str | None = own.get(StudyAttribute.ORIGIN)
    token = own.get(StudyAttribute.ORIGIN_TOKEN)
    found = sorted(i for i, held in tokens.items() if token is not None and held == token and i in named)
    names = [named[i] for i in found]
    return (
        name if not names or name in names else names[0]
    )  # there are several names if another program copied the study
