"""Copies a study, with everything that belongs to it, to the same or another database."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.identity import check_free
from optbench.storage.optuna_private import ARTIFACT_PREFIX, models, trial_of_note
from optbench.storage.schema import ATTACHED, TOKEN, epochs, test_evaluations
from optbench.storage.study_reader import studies
from optbench.storage.study_records import StudyRecord

Rows = list[dict[str, Any]]
OF_A_STUDY: tuple[Table, ...] = tuple(
    model.__table__
    for model in (models.StudyDirectionModel, models.StudyUserAttributeModel, models.StudySystemAttributeModel)
)
OF_A_TRIAL: tuple[Table, ...] = tuple(
    model.__table__
    for model in (
        models.TrialUserAttributeModel,
        models.TrialSystemAttributeModel,
        models.TrialParamModel,
        models.TrialValueModel,
        models.TrialIntermediateValueModel,
    )
)


@dataclass
class _Snapshot:
    """The rows of one study, without the trials that were running when it was read."""

    directions: Rows
    user_attributes: dict[str, str]
    system_attributes: dict[str, str]
    trials: Rows
    of_trials: dict[str, Rows]
    epochs: Rows
    evaluations: Rows


def copy_study(source: Storage, study: StudyRecord, target: Storage, name: str) -> list[str]:
    """The names of the new studies: the copy, and copies of the study's confirmations and finals, related to the copy.

    Each gets a token of its own. Running trials are not copied, so their slots are trained again. The dashboard's
    artifacts are not copied either, because optbench makes new ones. Raises StudyError if a name is taken, and then
    changes nothing.
    """
    derived = [other for other in studies(source) if other.derives_from(study)]
    found = source.read(lambda session: [_snapshot(session, one) for one in (study, *derived)])
    names = [name, *(_renamed(other.name, study.name, name) for other in derived)]

    def work(session: Session) -> list[str]:
        for own in names:
            check_free(session, own)
        token = _insert(session, found[0], name, {}, keep_repeat=name == study.name)
        origin = {StudyAttribute.ORIGIN.value: name, StudyAttribute.ORIGIN_TOKEN.value: token}
        for own, snapshot in zip(names[1:], found[1:], strict=True):
            _insert(session, snapshot, own, origin, keep_repeat=True)
        return names

    return target.write(work)


def _renamed(derived: str, old: str, new: str) -> str:
    """The name of a confirmation, or of finals, after its study `old` was named `new`."""
    return f"{new}{derived[len(old) :]}" if derived.startswith(old) else derived


def _snapshot(session: Session, study: StudyRecord) -> _Snapshot:
    trial = models.TrialModel.__table__
    own = trial.c.study_id == study.study_id, trial.c.state != TrialState.RUNNING
    trials = _read(session, select(trial).where(*own).order_by(trial.c.number))
    ids = {row["trial_id"] for row in trials}  # a trial that ends after this query is not copied

    def of_these(query: Any) -> Rows:
        return [row for row in _read(session, query) if row["trial_id"] in ids]

    every = select(trial.c.trial_id).where(*own)
    directions, user, system = (_rows(session, table, "study_id", study.study_id) for table in OF_A_STUDY)
    return _Snapshot(
        directions=directions,
        user_attributes={row["key"]: row["value_json"] for row in user},
        system_attributes={row["key"]: row["value_json"] for row in system},
        trials=trials,
        of_trials={table.name: of_these(select(table).where(table.c.trial_id.in_(every))) for table in OF_A_TRIAL},
        epochs=of_these(select(epochs).select_from(ATTACHED).where(*own)),
        evaluations=_rows(session, test_evaluations, "study_token", study.token),
    )


def _rows(session: Session, table: Table, column: str, value: Any) -> Rows:
    return _read(session, select(table).where(table.c[column] == value).order_by(*table.primary_key.columns))


def _read(session: Session, query: Any) -> Rows:
    return [dict(row._mapping) for row in session.execute(query)]


def _insert(session: Session, found: _Snapshot, name: str, changed: Mapping[str, str], keep_repeat: bool) -> str:
    """The token of the new study, after writing the snapshot under a name, with the attributes `changed`."""
    token = uuid.uuid4().hex
    study = models.StudyModel(study_name=name)
    study.directions = [
        models.StudyDirectionModel(objective=row["objective"], direction=row["direction"]) for row in found.directions
    ]
    session.add(study)
    session.flush()
    ids = {row["trial_id"]: _insert_trial(session, row, study.study_id) for row in found.trials}
    user = found.user_attributes | {key: json.dumps(value) for key, value in changed.items()}
    if not keep_repeat:
        user.pop(StudyAttribute.REPEAT_OF, None)
    system = {key: text for key, text in found.system_attributes.items() if not key.startswith(ARTIFACT_PREFIX)}
    system = {new: text for key, text in system.items() if (new := _renumbered(key, ids)) is not None}
    system[TOKEN] = json.dumps(token)
    for model, held in ((models.StudyUserAttributeModel, user), (models.StudySystemAttributeModel, system)):
        session.add_all(model(study_id=study.study_id, key=key, value_json=text) for key, text in held.items())
    for table in OF_A_TRIAL:
        rows = [row | {"trial_id": ids[row["trial_id"]]} for row in found.of_trials[table.name]]
        _bulk(session, table, rows, without=[column.name for column in table.primary_key.columns])
    _bulk(session, epochs, [row | {"trial_id": ids[row["trial_id"]], "study_token": token} for row in found.epochs])
    log = [row | {"study_name": name, "study_token": token} for row in found.evaluations]
    _bulk(session, test_evaluations, log, without=["id"])
    return token


def _insert_trial(session: Session, row: Mapping[str, Any], study_id: int) -> int:
    values = {key: value for key, value in row.items() if key != "trial_id"} | {"study_id": study_id}
    done: Any = session.execute(insert(models.TrialModel.__table__).values(**values))
    return int(done.inserted_primary_key[0])


def _renumbered(key: str, ids: Mapping[int, int]) -> str | None:
    """The key of a system attribute in the copy: a trial's note has the trial's id in its key.

    None if the trial is not copied.
    """
    found = trial_of_note(key)
    if found is None:
        return key
    return key.replace(f":{found}:", f":{ids[found]}:", 1) if found in ids else None


def _bulk(session: Session, table: Table, rows: Rows, without: Sequence[str] = ()) -> None:
    if rows:
        session.execute(insert(table), [{k: v for k, v in row.items() if k not in without} for row in rows])
