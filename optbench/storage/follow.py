"""Reads trials as Optuna's FrozenTrials, and follows a study as it changes: no finished trial is read twice."""

import json
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from optbench.errors import StudyError
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import local_time, models, trial_id_of, trial_times
from optbench.storage.schema import TOKEN

FEW = 500  # trials; up to this many are read by their ids, which is quicker in a large study
FEW_RUNNING = 64  # trials; up to this many are read whole every time
SHARE = 0.01  # of a reader's time that may go into reading more running trials than that
UNFINISHED = TrialState.RUNNING, TrialState.WAITING


class Follower:
    """Remembers what one reader has seen of a study. `count` is the number that the next trial gets.

    It finds every new trial and every end at once. What running trials have reached may be older where many run,
    because to read them all takes most of a second for a thousand.
    """

    def __init__(self, storage: Storage, study_id: int, name: str) -> None:
        self.storage, self.study_id, self.name = storage, study_id, name
        self.last, self.unfinished, self.count = -1, set[int](), 0
        self.bare = set[int]()  # running trials that had no parameters yet
        self.due = 0.0  # when many running trials are read again, by the monotonic clock
        self.identity: Any = None  # the study's name and token (as JSON) at the first read

    @property
    def token(self) -> str | None:
        """The study's token, once it has been read."""
        return json.loads(self.identity[1]) if self.identity and self.identity[1] else None

    def updates(self) -> Sequence[FrozenTrial]:
        """The trials that are new, have ended, or run and may have changed since the last call, by number.

        Raises StudyError.
        """
        return self.storage.read(self._changed)

    def added(self, session: Session) -> Sequence[FrozenTrial]:
        """The trials that were added since the last call of either kind, by number.

        It is for the study's lock, which everybody waits for, so it reads as little as it can: those that ran at first
        sight come with their user attributes only, as running, and the next updates have them again. Raises StudyError.
        """
        self.check(session)
        trial = models.TrialModel
        new = select(trial.trial_id, trial.state).where(trial.study_id == self.study_id, trial.trial_id > self.last)
        rows = session.execute(new).all()
        running = [row.trial_id for row in rows if row.state == TrialState.RUNNING]
        others = [row.trial_id for row in rows if row.state != TrialState.RUNNING]
        found: list[FrozenTrial] = []
        if running:
            found += read_trials(session, [self.study_id], trial.trial_id.in_(running), narrow=True)[self.study_id]
        for frozen in found:
            frozen.state = TrialState.RUNNING  # one may have ended between the two statements
        if others:
            found += read_trials(session, [self.study_id], trial.trial_id.in_(others))[self.study_id]
        return self._noted(sorted(found, key=lambda frozen: frozen.number))

    def _changed(self, session: Session) -> Sequence[FrozenTrial]:
        self.check(session)
        begin, trial = time.monotonic(), models.TrialModel
        oldest = min(self.unfinished, default=self.last + 1)  # the index on ids skips every trial before it
        own = trial.study_id == self.study_id, trial.trial_id >= oldest
        still = set(session.scalars(select(trial.trial_id).where(*own, trial.state.in_(UNFINISHED))))
        whole = len(still) <= FEW_RUNNING or begin >= self.due
        again = self.unfinished if whole else (self.unfinished - still) | self.bare
        wanted = or_(trial.trial_id > self.last, trial.trial_id.in_(again))
        found = self._noted(read_trials(session, [self.study_id], trial.trial_id >= oldest, wanted)[self.study_id])
        if whole:
            now = time.monotonic()
            self.due = now + (now - begin) / SHARE
        return found

    def _noted(self, found: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """The trials, after noting which are the last, and which have to be read again."""
        for frozen in found:
            own_id = trial_id_of(frozen)
            self.last = max(self.last, own_id)
            self.count = max(self.count, frozen.number + 1)
            (self.unfinished.discard if frozen.state.is_finished() else self.unfinished.add)(own_id)
            bare = frozen.state == TrialState.RUNNING and not frozen.params
            (self.bare.add if bare else self.bare.discard)(own_id)
        return found

    def check(self, session: Session) -> None:
        """Raise StudyError if the id has another study, or none, now: SQLite reuses the ids of deleted studies."""
        study, held = models.StudyModel, models.StudySystemAttributeModel
        same = and_(held.study_id == study.study_id, held.key == TOKEN)
        query = select(study.study_name, held.value_json).outerjoin(held, same).where(study.study_id == self.study_id)
        found = session.execute(query).first()
        self.identity = self.identity or found
        if found is None or found != self.identity:
            raise StudyError(
                f"study {self.name!r} was deleted or renamed by another program; `optbench studies` lists the studies"
            )


def read_trials(
    session: Session, study_ids: Collection[int], *where: ColumnElement[bool], narrow: bool = False
) -> dict[int, list[Any]]:
    """The FrozenTrials of each study that meet all conditions `where`, by number; at most seven queries.

    With `narrow` they have their user attributes only, which takes two.
    """
    trial = models.TrialModel
    wanted = and_(trial.study_id.in_(study_ids), *where)
    columns = trial.study_id, trial.trial_id, trial.number, trial.state, *trial_times()
    rows = session.execute(select(*columns).where(wanted).order_by(trial.study_id, trial.number)).all()
    trials: dict[int, list[Any]] = {study_id: [] for study_id in study_ids}
    if not rows:
        return trials
    if len(rows) <= FEW:
        wanted = trial.trial_id.in_([row.trial_id for row in rows])
    parts = _Parts(session, wanted, narrow)
    for study_id, *row in rows:
        trials[study_id].append(parts.trial(*row))
    return trials


class _Parts:
    """Everything that belongs to the trials that meet a condition, by trial id."""

    def __init__(self, session: Session, wanted: Any, narrow: bool) -> None:
        self.user_attrs = _read(session, wanted, models.TrialUserAttributeModel, "key", "value_json")
        self.values = self.params = self.system_attrs = self.points = defaultdict[int, list[Any]](list)
        if narrow:
            return
        self.values = _read(session, wanted, models.TrialValueModel, "objective", "value", "value_type")
        self.params = _read(session, wanted, models.TrialParamModel, "param_name", "param_value", "distribution_json")
        self.system_attrs = _read(session, wanted, models.TrialSystemAttributeModel, "key", "value_json")
        point = models.TrialIntermediateValueModel
        self.points = _read(session, wanted, point, "step", "intermediate_value", "intermediate_value_type")

    def trial(self, trial_id: int, number: int, state: TrialState, start: Any, complete: Any) -> FrozenTrial:
        """The trial of that id."""
        drawn = {name: (_distribution(kind), value) for name, value, kind in self.params[trial_id]}
        value, point = models.TrialValueModel, models.TrialIntermediateValueModel
        return FrozenTrial(
            number=number,
            state=TrialState(state),
            value=None,
            values=[value.stored_repr_to_value(*row[1:]) for row in self.values[trial_id]] or None,
            datetime_start=local_time(start),
            datetime_complete=local_time(complete),
            params={name: kind.to_external_repr(value) for name, (kind, value) in drawn.items()},
            distributions={name: kind for name, (kind, _) in drawn.items()},
            user_attrs={key: json.loads(text) for key, text in self.user_attrs[trial_id]},
            system_attrs={key: json.loads(text) for key, text in self.system_attrs[trial_id]},
            intermediate_values={
                row[0]: point.stored_repr_to_intermediate_value(*row[1:]) for row in self.points[trial_id]
            },
            trial_id=trial_id,
        )


def _read(session: Session, wanted: Any, model: Any, *columns: str) -> defaultdict[int, list[Any]]:
    """The rows of a table that belong to the trials, by trial id, in the order in which they were written."""
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
