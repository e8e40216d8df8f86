"""Reads what studies know about their data sets."""

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from optbench.data.dataset import Facts, facts_of_earlier
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.optuna_private import models


def facts_in(stored: Any, sweep: Sweep | None) -> Facts | None:
    """The facts in a study's attribute, or those of earlier versions, which stored none; None without a sweep."""
    if sweep is None:
        return None
    return facts_of_earlier(sweep.data.name) if stored is None else Facts.read(stored)


def chances(session: Session, study_ids: Collection[int]) -> defaultdict[int, float]:
    """The accuracy of guessing on each study's data, by study id."""
    held = models.StudyUserAttributeModel
    query = select(held.study_id, held.value_json).where(held.key == StudyAttribute.DATASET.value)
    found: defaultdict[int, float] = defaultdict(lambda: facts_of_earlier("").chance)
    for study_id, text in session.execute(query.where(held.study_id.in_(study_ids))):
        found[study_id] = Facts.read(json.loads(text)).chance
    return found
