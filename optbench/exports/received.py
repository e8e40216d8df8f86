"""Records made again from the plain data of records.py, so that what a server answers is shown as what a database has.

Every function raises KeyError, TypeError, ValueError or AttributeError for data of another form.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from optbench.data.dataset import Facts
from optbench.definition.rounds import Round
from optbench.definition.stored import read_leniently
from optbench.exports.records import Listed
from optbench.optimizers.spelling import unspelled
from optbench.scheduler.finals import Finalist, FinalsPlan
from optbench.scheduler.states import Need, State, StudyState, Wish
from optbench.storage import FinalsRecord, StudyRecord, TrialRecord, WorkerRecord
from optbench.storage.about import About
from optbench.storage.candidates import Candidate, Declined, QueueState
from optbench.storage.event_log import EventKind, EventRecord
from optbench.storage.pool import PoolRecord
from optbench.storage.queue import Place

Plain = Mapping[str, Any]
UNKNOWN = 0  # in place of ids, which only the database knows


def study_of(plain: Plain) -> Listed:
    """The study, and its place in the queue. How many workers it has is not known, only whether it has any."""
    place = plain["queue"]
    runs = plain["state"] == StudyState.RUNNING or (place is not None and place["state"] == QueueState.RUNNING)
    facts = plain.get("facts")
    study = StudyRecord(
        study_id=UNKNOWN,
        name=plain["name"],
        fingerprint=plain["fingerprint"],
        versions=plain["versions"],
        metric=plain["metric"],
        total=plain["total"],
        counts={state: plain["trials"][state] for state in State if state in plain["trials"]},
        best=plain["best"],
        epochs=plain["epochs"],
        changed=None if plain["changed"] is None else _utc(plain["changed"]),
        workers=int(runs),
        about=About(owner=plain["owner"], tags=tuple(plain["tags"]), note=plain["note"]),
        finals=None if plain["finals"] is None else _finals(plain["finals"]),
        sweep=read_leniently(plain["definition"]),
        facts=None if facts is None else Facts.read(facts),
    )
    return study, None if place is None else _candidate(place, study)


def _finals(plain: Plain) -> FinalsRecord:
    """The finals, as if they had one round: their total is that of all rounds."""
    finalists = [
        Finalist(
            trial=one["trial"],
            scores={int(seed): value for seed, value in one["scores"].items()},
            rounds=one["rounds"],
            searched=one["single_run"],
        )
        for one in plain["finalists"]
    ]
    plan = FinalsPlan((Round(candidates=1, seeds=plain["total"]),), searched=UNKNOWN)
    finished = plain["finished"]
    return FinalsRecord(plain["study"], UNKNOWN, finished=finished, plan=plan, finalists=finalists, epochs=UNKNOWN)


def _candidate(plain: Plain, study: StudyRecord) -> Candidate:
    submitted = _utc(plain["submitted"])
    place = Place(
        study_id=UNKNOWN,
        study=plain["study"],
        wish=Wish(plain["wish"]),
        owner=plain["owner"],
        priority=plain["priority"],
        max_workers=plain["max_workers"],
        label=plain["label"],
        needs=plain["needs"] and Need(plain["needs"]),
        submitted=submitted,
        asked=submitted,
        problem=plain["problem"],
    )
    declined = None if plain["declined"] is None else Declined(**plain["declined"])
    return Candidate(place=place, record=study, workers=plain["workers"], declined=declined)


def trial_of(plain: Plain) -> TrialRecord:
    """The trial. Its start and end are in local time again, to the second."""
    own: dict[str, Any] = {
        "trial_id": UNKNOWN,
        "state": State(plain["state"]),
        "params": unspelled(plain["optimizer"], plain["params"]),
        "hyperparameters": unspelled(plain["optimizer"], plain["hyperparameters"]),
        "started": _local(plain["started"]),
        "ended": _local(plain["ended"]),
    }
    return TrialRecord(
        **{field.name: plain[field.name] for field in fields(TrialRecord) if field.name not in own}, **own
    )


def worker_of(plain: Plain) -> WorkerRecord:
    """The worker of a study."""
    return WorkerRecord(**{field.name: plain[field.name] for field in fields(WorkerRecord)})


def pool_worker_of(plain: Plain) -> PoolRecord:
    """The worker of the pool."""
    given = {field.name: plain[field.name] for field in fields(PoolRecord)}
    return PoolRecord(**given | {"started": _utc(plain["started"])})


def event_of(plain: Plain) -> EventRecord:
    """The event."""
    given = {field.name: plain[field.name] for field in fields(EventRecord)}
    return EventRecord(**given | {"at": _utc(plain["at"]), "kind": EventKind(plain["kind"])})


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _local(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone().replace(tzinfo=None)
