"""Reads a study's trials, as Optuna has them, and as they change: no finished trial is read twice."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from optbench.errors import StudyError
from optbench.storage.engine import Storage
from optbench.storage.schema import TOKEN, models

FEW = 500  # trials that are asked for by their ids, which is quicker the more others there are


class Follower:
    """What one reader has seen of a study; `count` trials so far."""

    def __init__(self, storage: Storage, study_id: int, name: str) -> None:
        self.storage, self.study_id, self.name = storage, study_id, name
        self.last, self.unfinished, self.count = -1, set[int](), 0
        self.identity: Any = None  # the study's name and token (as JSON) when it was first read

    @property
    def token(self) -> str | None:
        """The study's token, once it has been read."""
        return json.loads(self.identity[1]) if self.identity and self.identity[1] else None

    def updates(self) -> Sequence[FrozenTrial]:
        """The trials that are new or were unfinished when they were last read, by number. Raises StudyError."""
        return self.storage.read(self.read)

    def read(self, session: Session) -> Sequence[FrozenTrial]:
        """The updates, in a session that is open already."""
        self.check(session)
        trial_id = models.TrialModel.trial_id
        oldest = min(self.unfinished, default=self.last + 1)  # an index leads there: no finished trial is looked at
        wanted = or_(trial_id > self.last, trial_id.in_(self.unfinished))
        found = read_trials(session, self.study_id, trial_id >= oldest, wanted)
        for frozen in found:
            self.last = max(self.last, frozen._trial_id)
            self.count = max(self.count, frozen.number + 1)
            (self.unfinished.discard if frozen.state.is_finished() else self.unfinished.add)(frozen._trial_id)
        return found

    def check(self, session: Session) -> None:
        """Check that the study of that id is still the same one: SQLite gives the id of a deleted study to the next.

        Raises StudyError.
        """
        study, held = models.StudyModel, models.StudySystemAttributeModel
        same = and_(held.study_id == study.study_id, held.key == TOKEN)
        query = select(study.study_name, held.value_json).outerjoin(held, same).where(study.study_id == self.study_id)
        found = session.execute(query).first()
        self.identity = self.identity or found
        if found is None or found != self.identity:
            raise StudyError(
                f"study {self.name!r} was deleted or renamed by another program; `optbench studies` lists what is there"
            )


def read_trials(session: Session, study_id: int, *where: ColumnElement[bool]) -> list[FrozenTrial]:
    """The study's trials for which all of that holds, by number."""
    trial = models.TrialModel
    wanted = and_(trial.study_id == study_id, *where)
    columns = trial.trial_id, trial.number, trial.state, trial._datetime_start_utc, trial._datetime_complete_utc
    rows = session.execute(select(*columns).where(wanted).order_by(trial.number)).all()
    if not rows:
        return []
    if len(rows) <= FEW:
        wanted = trial.trial_id.in_([row[0] for row in rows])
    values = _parts(session, wanted, models.TrialValueModel, "objective", "value", "value_type")
    params = _parts(session, wanted, models.TrialParamModel, "param_name", "param_value", "distribution_json")
    said = _parts(session, wanted, models.TrialUserAttributeModel, "key", "value_json")
    marks = _parts(session, wanted, models.TrialSystemAttributeModel, "key", "value_json")
    curve = models.TrialIntermediateValueModel
    points = _parts(session, wanted, curve, "step", "intermediate_value", "intermediate_value_type")
    trials = []
    for trial_id, number, state, start, complete in rows:
        drawn = {name: (_distribution(kind), value) for name, value, kind in params[trial_id]}
        trials.append(
            FrozenTrial(
                number=number,
                state=TrialState(state),
                value=None,
                values=[models.TrialValueModel.stored_repr_to_value(*row[1:]) for row in values[trial_id]] or None,
                datetime_start=_local(start),
                datetime_complete=_local(complete),
                params={name: kind.to_external_repr(value) for name, (kind, value) in drawn.items()},
                distributions={name: kind for name, (kind, _) in drawn.items()},
                user_attrs={key: json.loads(value) for key, value in said[trial_id]},
                system_attrs={key: json.loads(value) for key, value in marks[trial_id]},
                intermediate_values={
                    row[0]: curve.stored_repr_to_intermediate_value(*row[1:]) for row in points[trial_id]
                },
                trial_id=trial_id,
            )
        )
    return trials


def _parts(session: Session, wanted: Any, model: Any, *columns: str) -> defaultdict[int, list[Any]]:
    """Rows of a table that belongs to the trials, by trial id, in the order in which they were written."""
    trial = models.TrialModel
    named = [getattr(model, column) for column in columns]
    query = select(model.trial_id, *named).join(trial, trial.trial_id == model.trial_id).where(wanted)
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for trial_id, *row in session.execute(query.order_by(model.__table__.primary_key.columns[0])):
        found[trial_id].append(row)
    return found


@lru_cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(moment: datetime | None) -> datetime | None:
    """Optuna keeps times in UTC and shows them in local time."""
    return moment and moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
