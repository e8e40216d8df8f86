"""Puts a sweep into the queue: makes its study, without loading its data, and gives it a place."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from optbench.data.dataset import Facts
from optbench.definition.known import known_as
from optbench.definition.stored import as_begun
from optbench.definition.sweep import Sweep
from optbench.errors import NameTakenError, StudyError, TotalError, counted
from optbench.storage import PENDING, Storage, StudyRecord, find_study, sweep_of
from optbench.storage.about import About, describe
from optbench.storage.queue import Place, Submission, enqueue, find_place
from optbench.storage.totals import trained_further
from optbench.worker.creation import Relations, compare_fingerprints, continue_to, make_study


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The study, whether it was made now, is new in the queue, and has nothing left to train; and its place there."""

    study: StudyRecord
    made: bool
    queued: bool
    finished: bool
    place: Place | None


def submit(
    storage: Storage,
    sweep: Sweep,
    name: str,
    submission: Submission,
    about: About | None = None,
    relations: Relations | None = None,
) -> Submitted:
    """The study of the sweep in the queue. What its first worker finds of the data becomes part of its fingerprint.

    To submit the same again changes what the submission says of its place. The study gets the sweep's total, but a
    larger one stays unless the submission names a number of trials.

    Raises NameTakenError if a study of that name has another definition, with the keys that differ; TotalError if an
    unfinished study has finished more trials than the total that is asked for, or if its workers train towards more.
    """
    made = not _exists(storage, name)
    if made:
        digests, facts = _known_data(storage, sweep)
        make_study(storage, sweep, name, digests, relations or Relations(), facts)
    study = find_study(storage, name)
    if study.sweep is None:
        raise NameTakenError(f"study {name!r} was not made by optbench; choose another name with --study")
    sweep = known_as(as_begun(sweep, study.sweep), study.sweep)
    remedy = f"choose another name with --study, or continue it as it is: `optbench resume {shlex.quote(name)}`"
    compare_fingerprints(name, study.sweep.fingerprint({}), sweep.fingerprint({}), remedy)
    if submission.trials is not None or sweep.trials > (study.total or 0):
        _give_total(storage, study, sweep)
    describe(storage, study.study_id, about or About(owner=submission.owner))
    study = find_study(storage, name)
    whole = finished(study)
    queued = not whole and enqueue(storage, study.study_id, submission)
    place = find_place(storage, study.study_id)
    return Submitted(study=study, made=made, queued=queued, finished=whole, place=place)


def _give_total(storage: Storage, study: StudyRecord, sweep: Sweep) -> None:
    if sweep.trials < study.finished < (study.total or 0):
        done = counted(study.finished, "finished trial")
        raise TotalError(
            f"trials = {sweep.trials}, but study {study.name!r} has {done} of {study.total}; "
            f"expected {study.finished} or more"
        )
    if not continue_to(storage, study, sweep):
        raise trained_further(study.name, sweep.trials)


def finished(study: StudyRecord) -> bool:
    """Whether the study has its total, and its finals, if it asks for any, are finished."""
    whole = study.finished >= (study.total or 0)
    return whole and (sweep_of(study).finals is None or (study.finals is not None and study.finals.done))


def _exists(storage: Storage, name: str) -> bool:
    try:
        find_study(storage, name)
    except StudyError:
        return False
    return True


def _known_data(storage: Storage, sweep: Sweep) -> tuple[Mapping[str, str], Facts | Literal["pending"] | None]:
    """The digests and the facts of the sweep's data: those of the study whose trials it continues, or pending."""
    if sweep.start is None or sweep.start.top is not None:
        return {}, PENDING
    source = find_study(storage, sweep.start.study)
    return source.digests, source.facts
