"""The log of test-set evaluations: every evaluation is one row, and no row is ever removed."""

import json
from collections import Counter
from enum import StrEnum

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.identity import token_of
from optbench.storage.liveness import clock
from optbench.storage.optuna_private import models
from optbench.storage.schema import TOKEN, test_evaluations


class Occasion(StrEnum):
    """Why a trial was scored on the test set."""

    SWEEP = "sweep"  # its own score
    REPLAY = "replay"  # scored again, by a replay or an export of its weights


def log_evaluation(session: Session, study: str, token: str | None, trial_number: int, occasion: Occasion) -> None:
    """Log that a trial of the study of that name and token was scored on the test set."""
    row = {"study_name": study, "study_token": token, "trial_number": trial_number, "occasion": occasion.value}
    session.execute(insert(test_evaluations).values(**row, evaluated=clock(session)))


def count_evaluations(storage: Storage) -> Counter[str]:
    """The number of test-set evaluations by study: by its current name, or its last one if it was deleted."""
    study, held = models.StudyModel, models.StudySystemAttributeModel
    named = select(held.value_json, study.study_name).join(study, study.study_id == held.study_id)
    logged = select(test_evaluations.c.study_token, test_evaluations.c.study_name)

    def work(session: Session) -> Counter[str]:
        names = {json.loads(row[0]): row[1] for row in session.execute(named.where(held.key == TOKEN))}
        return Counter(names.get(token, name) for token, name in session.execute(logged))

    return storage.read(work)


def log_replay(storage: Storage, study_id: int, trial_number: int) -> None:
    """Log that a trial was scored on the test set again."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id)
        if study is not None:
            log_evaluation(session, study.study_name, token_of(study), trial_number, Occasion.REPLAY)

    storage.write(work)
