"""Deletes saved plots of optuna-dashboard, and counts the studies and trials that share an artifact."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.optuna_private import ARTIFACT_PREFIX, models, plot_prefix


def remove_plots(storage: Storage, study_id: int, names: Sequence[str]) -> None:
    """Delete plots of the study in optuna-dashboard."""
    if not names:
        return
    held = models.StudySystemAttributeModel

    def work(session: Session) -> None:
        for name in names:
            key = held.key.startswith(f"{plot_prefix()}{name}:", autoescape=True)
            session.execute(delete(held).where(held.study_id == study_id, key))

    storage.write(work)


def count_references(storage: Storage, artifact_id: str) -> int:
    """The number of studies and trials that have the artifact: other programs' copies of a study share it."""
    kinds = models.StudySystemAttributeModel, models.TrialSystemAttributeModel
    key = f"{ARTIFACT_PREFIX}{artifact_id}"
    queries = [select(func.count()).select_from(kind).where(kind.key == key) for kind in kinds]
    return storage.read(lambda session: sum(session.scalar(query) or 0 for query in queries))
