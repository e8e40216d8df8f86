"""A study's identity: a token that stays when the study is renamed, and that no other study shares."""

import json
import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optbench.definition import check_study_name
from optbench.errors import StudyError, counted
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models
from optbench.storage.schema import TOKEN, events, test_evaluations
from optbench.storage.workers import alive


def token_of(study: Any) -> str | None:
    """The token of a study's row."""
    return next((json.loads(row.value_json) for row in study.system_attributes if row.key == TOKEN), None)


def give_token(session: Session, study: Any) -> None:
    """Make sure that the study has a token of its own.

    A study that another program copied has no token, or the original's. Epochs under the original's token stay with
    the original.
    """
    held = models.StudySystemAttributeModel
    row = next((row for row in study.system_attributes if row.key == TOKEN), None)
    if row is None:
        row = held(key=TOKEN, value_json=json.dumps(uuid.uuid4().hex))
        study.system_attributes.append(row)
        session.flush()
        return
    same = held.key == TOKEN, held.value_json == row.value_json
    if session.scalar(select(func.min(held.study_id)).where(*same)) != study.study_id:
        row.value_json = json.dumps(uuid.uuid4().hex)


def rename_study(storage: Storage, study_id: int, new_name: str) -> None:
    """Give the study another name. Its curves, metric, confirmations, finals, plots and events stay with it.

    Raises DefinitionError if the name is not allowed, and StudyError if it is taken or the study has live workers.
    """
    check_study_name(new_name, "new name")

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        if study is None:
            raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists the studies")
        check_idle(session, study_id, study.study_name)
        check_free(session, new_name, study_id)
        session.execute(events.update().where(events.c.study_name == study.study_name).values(study_name=new_name))
        study.study_name = new_name
        if token := token_of(study):
            log = test_evaluations.update().where(test_evaluations.c.study_token == token)
            session.execute(log.values(study_name=new_name))

    storage.write(work)


def check_idle(session: Session, study_id: int, name: str) -> None:
    """Raise StudyError if the study has live workers."""
    if live := len(alive(session, study_id)):
        raise StudyError(
            f"study {name!r} has {counted(live, 'live worker')}; stop the sweep first (Ctrl-C), or, if it "
            "was killed, wait for its heartbeat timeout"
        )


def check_free(session: Session, name: str, study_id: int | None = None) -> None:
    """Raise StudyError if another study has the name, or a name that this database takes for the same."""
    other = models.StudyModel.find_by_name(name, session)
    if other is not None and other.study_id != study_id:
        raise StudyError(f"there is a study {other.study_name!r} already; choose another name")
