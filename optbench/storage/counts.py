"""Counts the epochs of studies in the database."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from optbench.storage.optuna_private import models
from optbench.storage.schema import ATTACHED


def trained_epochs(session: Session, study_ids: Collection[int] | None) -> dict[int, int]:
    """The number of trained epochs by study id, of these studies or of all."""
    study_id = models.TrialModel.__table__.c.study_id
    query = select(study_id, func.count()).select_from(ATTACHED)
    return {row[0]: row[1] for row in session.execute(of(query, study_id, study_ids).group_by(study_id))}


def of(query: Any, study_id: Any, study_ids: Collection[int] | None) -> Any:
    """The query, restricted to these studies unless all are asked for."""
    return query if study_ids is None else query.where(study_id.in_(study_ids))
