"""Looks for what cannot be right in a database: a damaged file, trials without their curves, budgets overshot."""

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
from optbench.definition.stored import read_sweep
from optbench.storage.engine import Storage
from optbench.storage.follow import read_trials
from optbench.storage.optuna_private import models, study_id_of, trial_id_of
from optbench.storage.schema import ATTACHED, epochs
from optbench.storage.workers import alive

Curve = tuple[int, int, int]  # how many epochs are kept, the first, the last


@dataclass(frozen=True)
class Finding:
    """Something that cannot be right; `study` is None where it concerns the whole database."""

    study: str | None
    what: str


def examine(storage: Storage) -> list[Finding]:
    """Everything that is wrong in the database; a healthy one has nothing. A damaged file is not looked into."""
    damage = storage.read(lambda session: list(_file(storage, session)))
    if damage:
        return [Finding(None, what) for what in damage]
    found = [Finding(None, what) for what in storage.read(lambda session: list(_tables(storage, session)))]
    for study in storage.read(lambda _: storage.optuna.get_all_studies()):
        if all(isinstance(study.user_attrs.get(key), dict) for key in ("fingerprint", "definition")):
            wrong = storage.read(lambda session, study=study: list(_study(session, study)))  # type: ignore[misc]
            found += [Finding(study.study_name, what) for what in wrong]
    return found


def _file(storage: Storage, session: Session) -> Iterator[str]:
    """Where SQLite itself says that the file is damaged."""
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
            yield f"{rows} rows of table {table} refer to rows of {parent} that are not there"
    every = session.scalar(select(func.count()).select_from(epochs)) or 0
    if left := every - (session.scalar(select(func.count()).select_from(ATTACHED)) or 0):
        yield f"{left} epochs belong to no trial: another program deleted their trials"


def _study(session: Session, study: Any) -> Iterator[str]:
    study_id = study_id_of(study)
    living = alive(session, study_id)
    trials, curves = read_trials(session, [study_id])[study_id], _curves(session, study_id)
    living |= alive(session, study_id)  # before and after: a worker may have left or joined meanwhile
    held: Mapping[str, Any] = study.user_attrs
    yield from _definition(held)
    yield from _budget(held, trials)
    for trial in trials:
        whose = trial.user_attrs.get("worker")
        if trial.state == TrialState.RUNNING and whose not in living:
            gone = f"its worker {whose} is dead" if whose else "no worker of optbench runs it"
            yield f"trial {trial.number} is RUNNING, but {gone}; a sweep of this study takes it over"
        elif trial.state.is_finished() and "slot" in trial.user_attrs:
            length = int(held["definition"]["epochs"])
            yield from _trial(trial, curves.get(trial_id_of(trial), (0, 1, 0)), length)


def _curves(session: Session, study_id: int) -> dict[int, Curve]:
    query = (
        select(epochs.c.trial_id, func.count(), func.min(epochs.c.epoch), func.max(epochs.c.epoch))
        .select_from(ATTACHED)
        .where(models.TrialModel.study_id == study_id)
        .group_by(epochs.c.trial_id)
    )
    return {row[0]: (row[1], row[2], row[3]) for row in session.execute(query)}


def _definition(held: Mapping[str, Any]) -> Iterator[str]:
    """Whether the definition still gives the fingerprint, and the present packages may carry it on."""
    fingerprint = expand(held["fingerprint"])
    try:
        expected = expand(read_sweep(held["definition"]).fingerprint({}))
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        yield f"its definition cannot be read: {problem}"
        return
    for key, value in expected.items():
        if fingerprint.get(key) == value:
            continue
        if key.endswith(".major"):
            package = key.removesuffix(".major")
            yield f"made with {package} {fingerprint.get(key)}; {version(package)} here cannot carry it on"
        else:
            yield f"{key} is {fingerprint.get(key)!r} in its fingerprint, {value!r} in its definition"


def _budget(held: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """Whether every slot of the budget was finished at most once, and every trial has a number of its own."""
    used = Counter(t.user_attrs["slot"] for t in trials if t.state.is_finished() and _counts(t))
    for slot, times in used.items():
        if times > 1:
            yield f"slot {slot} was finished {times} times"
    total = held.get("trials")
    if not isinstance(total, int) or len(used) > total:
        yield f"{len(used)} trials are finished; its total is {total}"
    for number, times in Counter(trial.number for trial in trials).items():
        if times > 1:
            yield f"{times} of its trials have the number {number}"


def _counts(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.FAIL and "slot" in trial.user_attrs


def _trial(trial: FrozenTrial, curve: Curve, length: int) -> Iterator[str]:
    """Whether a finished trial's state, value and attributes are what its curve says."""
    kept, first, last = curve
    said = trial.user_attrs.get("epochs")
    who = f"trial {trial.number} ({trial.state.name})"
    if said is None:
        yield f"{who} was ended by another program, after {kept} epochs"
        return
    if kept != said or last - first + 1 != kept or first != 1:
        yield f"{who} trained {said} epochs; its curve has {kept} of them"
    if len(trial.intermediate_values) != kept:
        yield f"{who} has {len(trial.intermediate_values)} points on Optuna's curve, {kept} on ours"
    whole = trial.state == TrialState.COMPLETE and not trial.user_attrs.get("diverged")
    if whole and said != length:
        yield f"{who} ended after {said} of {length} epochs"
    if _counts(trial) and trial.value is None:
        yield f"{who} has no value"
