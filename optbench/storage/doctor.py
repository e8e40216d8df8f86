"""Finds what is wrong in a database: a damaged file, trials without their curves, slots that were finished twice."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from optbench.definition.fingerprint import expand
from optbench.definition.stored import read_leniently
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import StudyAttribute, TrialAttribute
from optbench.scheduler.states import Role
from optbench.storage.engine import Storage
from optbench.storage.follow import read_trials
from optbench.storage.optuna_private import study_id_of, trial_id_of
from optbench.storage.schema import ATTACHED, epochs
from optbench.storage.study_reader import OURS, studies
from optbench.storage.study_records import StudyRecord
from optbench.storage.trial_records import read_curves
from optbench.storage.workers import alive
from optbench.training.contract import Epoch


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a study, or with the whole database if `study` is None."""

    study: str | None
    what: str


def examine(storage: Storage) -> list[Finding]:
    """Everything that is wrong in the database. If the file is damaged, only the damage is reported."""
    damage = storage.read(lambda session: list(_file(storage, session)))
    if damage:
        return [Finding(None, what) for what in damage]
    found = [Finding(None, what) for what in storage.read(lambda session: list(_tables(storage, session)))]
    found += _identities([study for study in studies(storage) if study.sweep is not None])
    for study in storage.read(lambda _: storage.optuna.get_all_studies()):
        if all(isinstance(study.user_attrs.get(key), dict) for key in OURS):
            wrong = storage.read(lambda session, study=study: list(_study(session, study)))  # type: ignore[misc]
            found += [Finding(study.study_name, what) for what in wrong]
    return found


def _identities(records: Sequence[StudyRecord]) -> Iterator[Finding]:
    """Studies that lost something when another program copied or renamed them. Optuna-dashboard renames by copying."""
    keeps = "its curves and relations are lost; `optbench copy` and `optbench rename` would have kept them"
    owners: dict[str, str] = {}
    for study in records:
        if study.token is None:
            yield Finding(study.name, f"another program copied or renamed it: {keeps}")
        elif study.token in owners:
            yield Finding(study.name, f"another program copied it from {owners[study.token]!r}: {keeps}")
        else:
            owners[study.token] = study.name
    for study in records:
        lost = study.origin_token is not None and study.origin_token not in owners
        if lost and any(other.token is None for other in records):
            yield Finding(
                study.name,
                f"it {_does(study)} the study {study.origin!r}, which another program renamed or deleted",
            )


def _does(study: StudyRecord) -> str:
    return "has the finals of" if study.role is Role.FINALS else "confirms"


def _file(storage: Storage, session: Session) -> Iterator[str]:
    """The damage that SQLite itself finds in the file."""
    if storage.path is not None:
        try:
            for (problem,) in session.connection().exec_driver_sql("PRAGMA integrity_check").all():
                if problem != "ok":
                    yield f"SQLite finds: {' '.join(problem.split())}"
        except DatabaseError as problem:
            yield f"SQLite finds: {problem.orig}"


def _tables(storage: Storage, session: Session) -> Iterator[str]:
    if storage.path is not None:
        connection = session.connection()
        broken = Counter((row[0], row[2]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all())
        for (table, parent), rows in broken.items():
            yield f"{rows} rows of table {table} refer to rows of {parent} that do not exist"
    every, attached = (select(func.count()).select_from(one).scalar_subquery() for one in (epochs, ATTACHED))
    if left := session.scalar(
        select(every - attached)
    ):  # one statement, so that epochs written meanwhile count in both
        yield f"{left} epochs belong to no trial: another program deleted their trials"


def _study(session: Session, study: Any) -> Iterator[str]:
    study_id = study_id_of(study)
    living = alive(session, study_id)
    trials, curves = read_trials(session, [study_id])[study_id], read_curves(session, [study_id])
    living |= alive(session, study_id)  # before and after: a worker may have left or joined meanwhile
    held: Mapping[str, Any] = study.user_attrs
    sweep = read_leniently(held[StudyAttribute.DEFINITION])
    yield from _definition(held, sweep)
    yield from _budget(held, trials)
    for trial in trials:
        whose = trial.user_attrs.get(TrialAttribute.WORKER)
        if trial.state == TrialState.RUNNING and whose not in living:
            why = f"its worker {whose} is dead" if whose else "no worker of optbench runs it"
            yield f"trial {trial.number} is RUNNING, but {why}; a sweep of this study takes it over"
        elif trial.state.is_finished() and TrialAttribute.SLOT in trial.user_attrs:
            yield from _trial(trial, curves.get(trial_id_of(trial), []), sweep.epochs if sweep else None)


def _definition(held: Mapping[str, Any], sweep: Sweep | None) -> Iterator[str]:
    """Differences between definition and fingerprint, and installed packages that cannot continue the study."""
    fingerprint = expand(held[StudyAttribute.FINGERPRINT])
    if sweep is None:
        yield "its definition cannot be read"
        return
    for key, value in expand(sweep.fingerprint({})).items():
        if fingerprint.get(key) == value:
            continue
        if key.endswith(".major"):
            package = key.removesuffix(".major")
            yield f"it was made with {package} {fingerprint.get(key)}; {version(package)} here cannot continue it"
        else:
            yield f"{key} is {fingerprint.get(key)!r} in its fingerprint, {value!r} in its definition"


def _budget(held: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Slots that were finished more than once, and numbers that several trials share."""
    used = Counter(t.user_attrs[TrialAttribute.SLOT] for t in trials if t.state.is_finished() and _counts(t))
    for slot, times in used.items():
        if times > 1:
            yield f"slot {slot} was finished {times} times"
    total = held.get(StudyAttribute.TRIALS)
    if not isinstance(total, int) or len(used) > total:
        yield f"{len(used)} trials are finished; its total is {total}"
    for number, times in Counter(trial.number for trial in trials).items():
        if times > 1:
            yield f"{times} of its trials have the number {number}"


def _counts(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.FAIL and TrialAttribute.SLOT in trial.user_attrs


def _trial(trial: FrozenTrial, curve: Sequence[Epoch], length: int | None) -> Iterator[str]:
    """Contradictions between a finished trial's state, value, attributes, curve, and Optuna's copy of the curve."""
    kept = len(curve)
    trained = trial.user_attrs.get(TrialAttribute.EPOCHS)
    who = f"trial {trial.number} ({trial.state.name})"
    if trained is None:
        yield f"{who} was ended by another program, after {kept} epochs"
        return
    if [epoch.epoch for epoch in curve] != list(range(1, trained + 1)):
        yield f"{who} trained {trained} epochs; its curve has {kept} of them"
    if len(trial.intermediate_values) != kept:
        yield f"{who} has {len(trial.intermediate_values)} points on Optuna's curve, {kept} on ours"
    points = trial.intermediate_values
    if wrong := [e.epoch for e in curve if e.epoch in points and points[e.epoch] != e.objective]:
        yield f"{who} differs between Optuna's curve and ours in {len(wrong)} epochs, first in epoch {wrong[0]}"
    whole = trial.state == TrialState.COMPLETE and not trial.user_attrs.get(TrialAttribute.DIVERGED)
    if whole and length is not None and trained != length:
        yield f"{who} ended after {trained} of {length} epochs"
    if _counts(trial) and trial.value is None:
        yield f"{who} has no value"
