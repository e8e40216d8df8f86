"""Records as plain data for JSON, with stable keys, for commands and for the HTTP API; accuracies are fractions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from optbench.comparison.selection import finalist_json
from optbench.optimizers.spelling import spelled
from optbench.scheduler.states import State, StudyState
from optbench.storage import (
    FinalsRecord,
    Storage,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
    best_first,
    find_study,
    study_workers,
    trials,
)
from optbench.storage.candidates import Candidate, QueueState, read_queue
from optbench.storage.event_log import EventRecord
from optbench.storage.pool import PoolRecord

LOST = (State.FAILED, State.INTERRUPTED)
Listed = tuple[StudyRecord, Candidate | None]
"""A study, and its place in the queue: None if it is finished, or runs by hand."""


class Shown(NamedTuple):
    """What `optbench show` shows of a study."""

    study: StudyRecord
    records: Sequence[TrialRecord]
    workers: Sequence[WorkerRecord]
    place: Candidate | None


def finite(content: Any) -> Any:
    """The data with null instead of numbers that are not finite, which JSON does not have."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): finite(value) for key, value in content.items()}
    return [finite(value) for value in content] if isinstance(content, list | tuple) else content


def ranked(study: StudyRecord, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The finalists and the other complete trials, best first; all by number if there are none to choose from."""
    return (study.searches and best_first(study.finals, records)) or list(records)


def queued(storage: Storage) -> dict[str, Candidate]:
    """The studies in the queue, by name."""
    return {one.place.study: one for one in storage.read(read_queue)}


def shown(storage: Storage, name: str) -> Shown:
    """The study of that name with its trials, its workers and its place in the queue. Raises StudyError."""
    study = find_study(storage, name)
    records, workers = trials(storage, study.study_id), study_workers(storage, study.study_id)
    return Shown(study=study, records=records, workers=workers, place=queued(storage).get(name))


def state_of(study: StudyRecord, place: Candidate | None) -> StudyState | QueueState:
    """The study's state as people see it: that of its place in the queue, if it has one, until all trials are done."""
    return study.state if place is None or study.state is StudyState.DONE else place.state


def study_json(study: StudyRecord, place: Candidate | None = None) -> dict[str, Any]:
    """The study as plain data, with its place in the queue."""
    return {
        "name": study.name,
        "sweep": None if study.sweep is None else study.sweep.name,
        "optimizer": study.optimizer,
        "state": state_of(study, place),
        "owner": study.about.owner,
        "tags": list(study.about.tags),
        "note": study.about.note,
        "total": study.total,
        "trials": dict(study.counts),
        "metric": study.metric,
        "best": study.best,
        "finals": None if study.finals is None else _finals_json(study.finals),
        "epochs": study.epochs,
        "changed": study.changed.isoformat() + "Z" if study.changed else None,
        "definition": None if study.sweep is None else study.sweep.definition(),
        "fingerprint": study.fingerprint,
        "versions": study.versions,
        "queue": None if place is None else queue_json(place),
    }


def _finals_json(finals: FinalsRecord) -> dict[str, Any]:
    return {
        "study": finals.study,
        "done": finals.done,
        "finished": finals.finished,
        "total": finals.total,
        "finalists": [
            {
                "trial": one.trial,
                **finalist_json(one),
                "scores": {str(seed): value for seed, value in one.scores.items()},
                "rounds": one.rounds,
            }
            for one in finals.finalists
        ],
    }


def show_json(
    study: StudyRecord,
    records: Sequence[TrialRecord],
    top: int = 10,
    workers: Sequence[WorkerRecord] = (),
    place: Candidate | None = None,
) -> dict[str, Any]:
    """The study as plain data, with its best and unfinished trials, its workers, and its fixed settings."""
    unfinished = [record for record in records if record.state in (State.RUNNING, *LOST)]
    plain: dict[str, Any] = {
        "facts": None if study.facts is None else study.facts.plain(),
        "top": [trial_json(trial) for trial in ranked(study, records)[:top]],
        "unfinished": [trial_json(trial) for trial in unfinished],
        "workers": [{**asdict(worker), "alive": worker.alive} for worker in workers],
    }
    if not study.searches:
        from optbench.comparison.baseline import by_label

        plain["settings"] = [asdict(setting) for setting in by_label(study.sweep, records)]
    return study_json(study, place) | plain


def trial_json(trial: TrialRecord) -> dict[str, Any]:
    """The trial as plain data."""
    plain = {key: value for key, value in vars(trial).items() if key != "trial_id"}
    named = {key: spelled(trial.optimizer, plain[key]) for key in ("params", "hyperparameters")}
    return plain | named | {"started": _iso(trial.started), "ended": _iso(trial.ended)}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def queue_json(one: Candidate) -> dict[str, Any]:
    """A study's place in the queue as plain data."""
    place = one.place
    return {
        "study": place.study,
        "state": state_of(one.record, one),
        "wish": place.wish,
        "priority": place.priority,
        "finished": one.record.finished,
        "running": one.record.counts[State.RUNNING],
        "total": one.record.total,
        "workers": one.workers,
        "max_workers": place.max_workers,
        "best": one.record.best,
        "label": place.label,
        "needs": place.needs,
        "owner": place.owner,
        "submitted": f"{place.submitted.isoformat()}Z",
        "problem": place.problem,
        "declined": one.declined and asdict(one.declined),
    }


def pool_json(one: PoolRecord) -> dict[str, Any]:
    """A worker of the pool as plain data."""
    return {**vars(one), "state": one.state, "started": f"{one.started.isoformat()}Z"}


def event_json(one: EventRecord) -> dict[str, Any]:
    """An event as plain data."""
    return {**vars(one), "at": f"{one.at.isoformat()}Z"}
