"""Reads the finals of searches, in a number of queries that does not grow with the number of studies."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from optuna.trial import TrialState
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from optbench.definition.rounds import Round
from optbench.definition.stored import read_leniently
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import StudyAttribute, TrialAttribute
from optbench.scheduler.finals import Finalist, FinalsPlan, ranked
from optbench.storage.counts import trained_epochs
from optbench.storage.facts import chances
from optbench.storage.optuna_private import models

log = logging.getLogger(__name__)
Values = dict[int, float]


@dataclass(frozen=True)
class FinalsRecord:
    """The finals of a search: the study that holds them, how far they are, and their finalists, best first.

    `finished` of `total` trials are done. `searched` is how many trials the search had finished when its finalists were
    picked; later trials did not take part. A final that diverged counts with the accuracy of guessing. `epochs` is the
    number of epochs that were trained in all finals of the search, in earlier ones, too.
    """

    study: str
    study_id: int
    finished: int
    plan: FinalsPlan
    finalists: Sequence[Finalist]
    epochs: int

    @property
    def total(self) -> int:
        """The number of trials that the finals have in all."""
        return self.plan.total

    @property
    def searched(self) -> int:
        """The number of trials that the search had finished when its finalists were picked."""
        return self.plan.searched

    @property
    def done(self) -> bool:
        """Whether every trial of every round is finished."""
        return self.finished >= self.total

    @property
    def winner(self) -> Finalist | None:
        """The best finalist, which is the best of the search; None until the finals are done."""
        return self.finalists[0] if self.done and self.finalists else None


def read_plan(stored: Any) -> FinalsPlan | None:
    """The plan of finals from a study's attribute; None where there is none, or none that can be read."""
    try:
        return FinalsPlan(tuple(Round(*one) for one in stored["rounds"]), stored["searched"])
    except (KeyError, TypeError) as problem:
        if stored is not None:
            log.info("the stored plan of finals cannot be read: %r", problem)
        return None


def write_plan(plan: FinalsPlan) -> dict[str, Any]:
    """The plan as a study's attribute."""
    return {"rounds": [[one.candidates, one.seeds] for one in plan.rounds], "searched": plan.searched}


def read_finals(session: Session, owners: Mapping[str, int]) -> dict[int, FinalsRecord]:
    """The finals of each search, by study id; `owners` are the ids of the searches by their tokens.

    Of several finals of a search the latest that are done count, or else the latest.
    """
    found = [study for study in _read(session) if study.token in owners]
    if not found:
        return {}
    ids = [study.study_id for study in found]
    values, epochs = _values(session, ids), trained_epochs(session, ids)
    trained: Counter[str] = Counter()
    for study in found:
        trained[study.token] += epochs.get(study.study_id, 0)
    searched = _searched(session, {owners[study.token]: study.sweep for study in found})
    records: dict[int, FinalsRecord] = {}
    for study in sorted(found, key=lambda study: study.study_id):
        own, search = values[study.study_id], owners[study.token]
        record = FinalsRecord(
            study=study.name,
            study_id=study.study_id,
            finished=len(own),
            plan=study.plan,
            finalists=[
                replace(one, searched=searched[search].get(one.trial))
                for one in ranked(study.plan, study.sweep.fixed, own)
            ],
            epochs=trained[study.token],
        )
        if search not in records or record.done or not records[search].done:
            records[search] = record
    return records


class _Study(NamedTuple):
    """A study that is the finals of the search with this token."""

    study_id: int
    name: str
    token: str
    plan: FinalsPlan
    sweep: Sweep


def _read(session: Session) -> Iterator[_Study]:
    """Every study that is finals."""
    study, held = models.StudyModel, models.StudyUserAttributeModel
    keys = StudyAttribute.FINALS, StudyAttribute.DEFINITION, StudyAttribute.ORIGIN_TOKEN
    ids = select(held.study_id).where(held.key == StudyAttribute.FINALS.value)
    query = select(study.study_id, study.study_name, held.key, held.value_json).join(study)
    query = query.where(held.study_id.in_(ids), held.key.in_([key.value for key in keys]))
    found: defaultdict[tuple[int, str], dict[str, Any]] = defaultdict(dict)
    for study_id, name, key, text in session.execute(query):
        found[study_id, name][key] = json.loads(text)
    for (study_id, name), attributes in found.items():
        plan, definition, token = (attributes.get(key) for key in keys)
        read, sweep = read_plan(plan), read_leniently(definition)
        if read is not None and sweep is not None:
            yield _Study(study_id, name, str(token), read, sweep)


def _values(session: Session, study_ids: Collection[int]) -> defaultdict[int, Values]:
    """The accuracy of every finished trial of these studies, by study id and slot."""
    trial, value, slot = models.TrialModel, models.TrialValueModel, models.TrialUserAttributeModel
    query = (
        select(trial.study_id, slot.value_json, value.value)
        .join(slot, and_(slot.trial_id == trial.trial_id, slot.key == TrialAttribute.SLOT.value))
        .outerjoin(value, and_(value.trial_id == trial.trial_id, value.objective == 0))
        .where(trial.study_id.in_(study_ids), trial.state.in_([TrialState.COMPLETE, TrialState.PRUNED]))
    )
    found: defaultdict[int, Values] = defaultdict(dict)
    chance = chances(session, study_ids)
    for study_id, text, number in session.execute(query):
        found[study_id][json.loads(text)] = chance[study_id] if number is None else number
    return found


def _searched(session: Session, sweeps: Mapping[int, Sweep]) -> defaultdict[int, Values]:
    """The value of the finalists' single runs, by the search's id and the trial's number."""
    numbers = {trial.source_trial for sweep in sweeps.values() for trial in sweep.fixed}
    trial, value = models.TrialModel, models.TrialValueModel
    query = (
        select(trial.study_id, trial.number, value.value)
        .join(value, and_(value.trial_id == trial.trial_id, value.objective == 0))
        .where(trial.study_id.in_(sweeps), trial.number.in_(numbers))
    )
    found: defaultdict[int, Values] = defaultdict(dict)
    for study_id, number, accuracy in session.execute(query):
        found[study_id][number] = accuracy
    return found
