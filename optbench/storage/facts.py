"""What studies know about their data sets."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.data.dataset import Facts, facts_of_earlier
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models

PENDING: Final = "pending"
"""In place of the facts of a study that was submitted, until its first worker has loaded the data."""


def facts_in(stored: Any, sweep: Sweep | None) -> Facts | None:
    """The facts in a study's attribute, or those of earlier versions, which stored none.

    None without a sweep, and while no worker has loaded the data of a submitted study.
    """
    if sweep is None or stored == PENDING:
        return None
    return facts_of_earlier(sweep.data.name) if stored is None else Facts.read(stored)


def chances(session: Session, study_ids: Collection[int]) -> defaultdict[int, float]:
    """The accuracy of guessing on each study's data, by study id."""
    held = models.StudyUserAttributeModel
    query = select(held.study_id, held.value_json).where(held.key == StudyAttribute.DATASET.value)
    found: defaultdict[int, float] = defaultdict(lambda: facts_of_earlier("").chance)
    for study_id, text in session.execute(query.where(held.study_id.in_(study_ids))):
        if (stored := json.loads(text)) != PENDING:
            found[study_id] = Facts.read(stored).chance
    return found


def complete_study(storage: Storage, study_id: int, digests: Mapping[str, str], facts: Facts) -> None:
    """Store what a submitted study could not know before its data was loaded. The first worker that does so counts."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        rows = {row.key: row for row in study.user_attributes} if study else {}
        dataset = rows.get(StudyAttribute.DATASET)
        if dataset is None or json.loads(dataset.value_json) != PENDING:
            return
        fingerprint = json.loads(rows[StudyAttribute.FINGERPRINT].value_json)
        rows[StudyAttribute.FINGERPRINT].value_json = json.dumps(fingerprint | dict(sorted(digests.items())))
        dataset.value_json = json.dumps(facts.plain())

    storage.write(work)
