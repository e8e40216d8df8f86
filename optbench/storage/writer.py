"""Writes what one worker does to one study. Every method is one short transaction, and none decides anything.

If the connection breaks just after a commit, the transaction runs again. It then finds what it has already written.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import delete, exists, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from optbench.defaults import HEARTBEAT_TIMEOUT
from optbench.errors import StorageError, StudyError
from optbench.scheduler.attributes import StudyAttribute, StudySystemAttribute, TrialAttribute
from optbench.scheduler.contract import Claim
from optbench.scheduler.states import Ending, Wish
from optbench.storage.engine import Storage
from optbench.storage.follow import Follower
from optbench.storage.identity import give_token, token_of
from optbench.storage.optuna_private import models, trial_id_of
from optbench.storage.queue import wish_of
from optbench.storage.rows import attributes, curve_point, end, epoch_row, parameters
from optbench.storage.schema import epochs
from optbench.storage.test_log import Occasion, log_evaluation
from optbench.storage.workers import Worker
from optbench.training.contract import Epoch

METRIC_NAMES = StudySystemAttribute.METRIC_NAMES.value


def open_study(
    storage: Storage, name: str, metric: str, held: Mapping[str, Any], hidden: Mapping[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """The id and the user attributes of the study of that name.

    It is made if there is none, with the user attributes `held` and the system attributes `hidden`.
    """

    def work(session: Session) -> tuple[int, dict[str, Any]]:
        study = models.StudyModel.find_by_name(name, session)
        made = study is None
        if made:
            study = models.StudyModel(study_name=name)
            study.directions = [models.StudyDirectionModel(objective=0, direction=StudyDirection.MAXIMIZE)]
            own, other = models.StudyUserAttributeModel, models.StudySystemAttributeModel
            given = {**held, **_origin_token(session, held)}
            study.user_attributes = [own(key=k, value_json=json.dumps(v)) for k, v in given.items()]
            system = {METRIC_NAMES: [metric], **(hidden or {})}
            study.system_attributes = [other(key=k, value_json=json.dumps(v)) for k, v in system.items()]
            session.add(study)
            session.flush()
        if (
            study.study_name != name
        ):  # to some databases, names that differ in case or in spaces at the end are the same
            raise StudyError(
                f"this database cannot tell study {name!r} from {study.study_name!r}, which exists; choose another name"
            )
        if made or any(row.key == StudyAttribute.FINGERPRINT for row in study.user_attributes):
            give_token(session, study)
        return study.study_id, {a.key: json.loads(a.value_json) for a in study.user_attributes}

    try:
        return storage.write(work)
    except StorageError as problem:
        if not isinstance(problem.__cause__, IntegrityError):
            raise
        return storage.write(work)  # another worker made it in between


def _origin_token(session: Session, held: Mapping[str, Any]) -> dict[str, str]:
    """The attribute by which a confirmation or finals find their search after a rename; empty without an origin."""
    origin = models.StudyModel.find_by_name(held.get(StudyAttribute.ORIGIN), session)
    token = None if origin is None else token_of(origin)
    return {} if token is None else {StudyAttribute.ORIGIN_TOKEN.value: token}


class Writer:
    """The writing side of a study, for one worker."""

    def __init__(self, storage: Storage, study_id: int, name: str, heartbeat_timeout: int = HEARTBEAT_TIMEOUT) -> None:
        self.storage, self.study_id, self.name = storage, study_id, name
        self.follower = Follower(storage, study_id, name)
        self.worker = Worker(study_id, heartbeat_timeout)
        self.claimed: set[int] = set()
        storage.write(self._join)

    def updates(self) -> Sequence[FrozenTrial]:
        """The trials that may have changed since the last call or the last claim."""
        return self.follower.updates()

    def claim(self, choose: Callable[[Sequence[FrozenTrial]], int | None]) -> Claim | None:
        """A new running trial for the slot that `choose` returns, or None. No two workers get the same slot.

        `choose` gets everything that has changed before this worker waits for the study's lock, and then what was
        added meanwhile. The lock is held for a few short statements.
        """

        def work(session: Session) -> Claim | None:
            session.get(models.StudyModel, self.study_id, with_for_update=True)
            updates = self.follower.added(session)
            slot = choose(updates)
            for trial in updates:  # one that was claimed in a transaction whose answer was lost
                ours = trial.user_attrs.get(TrialAttribute.WORKER) == self.worker.name
                if ours and trial.state == TrialState.RUNNING and trial_id_of(trial) not in self.claimed:
                    return Claim(trial_id_of(trial), trial.number, trial.user_attrs[TrialAttribute.SLOT])
            if slot is None:
                return None
            self.worker.rejoin(session)
            return Claim(*self._row(session, slot), slot)

        if choose(self.updates()) is None:
            return None
        claim = self.storage.write(work)
        if claim is not None:
            self.claimed.add(claim.trial_id)
        return claim

    def begin(
        self,
        trial_id: int,
        params: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        described: Mapping[str, Any],
    ) -> None:
        """Write the parameters and the attributes `described` of a claimed trial, before it trains."""

        def work(session: Session) -> None:
            for trial in session.scalars(self._own([trial_id])):
                if {row.key for row in trial.user_attributes} & described.keys():
                    return
                session.add_all(parameters(trial_id, params, distributions))
                session.add_all(attributes(described, trial_id))

        self.storage.write(work)

    def record(
        self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending], marks: Mapping[int, Mapping[str, Any]]
    ) -> set[int]:
        """The trials that are no longer this worker's, after writing one round. All arguments are by trial id.

        A round has each trial's epoch, the endings, and `marks`: new system attributes that a pruner reads again later.
        A trial was lost if it was deleted, ended by another program, or reaped after this worker's heartbeats stopped.
        """
        asked = {*trained, *endings}

        def work(session: Session) -> set[int]:
            keys = [(trial_id, epoch.epoch) for trial_id, epoch in trained.items()]
            written = select(epochs.c.trial_id).where(tuple_(epochs.c.trial_id, epochs.c.epoch).in_(keys))
            if done := set(session.scalars(written.where(self._claimed_here(epochs.c.trial_id)))):
                return asked - done
            ours = {trial.trial_id: trial for trial in session.scalars(self._own(asked))}
            mine = {trial_id: epoch for trial_id, epoch in trained.items() if trial_id in ours}
            if mine:
                points = insert(models.TrialIntermediateValueModel)
                token = self.follower.token
                rows = [epoch_row(t, epoch, token, ours[t].number) for t, epoch in mine.items()]
                session.execute(insert(epochs), rows)
                session.execute(points, [curve_point(*item) for item in mine.items()])
            for trial_id in marks.keys() & ours.keys():
                session.add_all(attributes(marks[trial_id], trial_id, models.TrialSystemAttributeModel))
            for trial_id in endings.keys() & ours.keys():
                end(ours[trial_id], endings[trial_id])
                if endings[trial_id].tested:
                    log_evaluation(
                        session, self.follower.name, self.follower.token, ours[trial_id].number, Occasion.SWEEP
                    )
            return asked - set(ours)

        return self.storage.write(work)

    def heartbeat(self) -> Wish:
        """What people wish of the study, after writing this worker's heartbeat and reaping dead workers.

        Does not wait for the end of an outage.
        """

        def work(session: Session) -> Wish:
            self.worker.heartbeat(session)
            self.worker.reap(session)
            return wish_of(session, self.study_id)

        return self.storage.write(work, patient=False)

    def leave(self) -> None:
        """Remove this worker. Does not wait for the end of an outage."""
        self.storage.write(self.worker.leave, patient=False)

    def _join(self, session: Session) -> None:
        """Check that the study exists, and write this worker's first heartbeat."""
        self.follower.check(session)
        self.worker.heartbeat(session)

    def _claimed_here(self, trial_id: Any) -> Any:
        """Whether this worker claimed the trial that has this id now: SQLite reuses the ids of deleted trials."""
        held, name = models.TrialUserAttributeModel, json.dumps(self.worker.name)
        return exists().where(
            held.trial_id == trial_id, held.key == TrialAttribute.WORKER.value, held.value_json == name
        )

    def _own(self, trial_ids: Collection[int]) -> Any:
        """The query for those trials that still run and are this worker's. It locks them."""
        trial = models.TrialModel
        ours = trial.trial_id.in_(trial_ids), self._claimed_here(trial.trial_id)
        query = select(trial).where(*ours, trial.state == TrialState.RUNNING)
        return query.order_by(trial.trial_id).with_for_update()

    def _row(self, session: Session, slot: int) -> tuple[int, int]:
        """The id and the number of a new running trial."""
        number = self.follower.count
        trial = models.TrialModel(number=number, study_id=self.study_id, state=TrialState.RUNNING)
        trial.datetime_start = datetime.now()
        trial.user_attributes = attributes({TrialAttribute.SLOT: slot, TrialAttribute.WORKER: self.worker.name})
        session.add(trial)
        session.flush()
        session.execute(delete(epochs).where(epochs.c.trial_id == trial.trial_id))  # left over from a deleted trial
        return trial.trial_id, number
