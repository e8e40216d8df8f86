"""Deletes plots that optuna-dashboard keeps with a study."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.optuna_private import models, plot_prefix


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
