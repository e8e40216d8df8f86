"""The plots and the note that optuna-dashboard keeps with a study, as far as its public functions do not reach them."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from optbench.errors import StudyError
from optbench.scheduler.attributes import StudyAttribute
from optbench.storage.engine import Storage
from optbench.storage.schema import models


def read_note(storage: Any, study_id: int) -> tuple[int, str]:
    """The version and the text of a study's note in optuna-dashboard; (0, "") if there is none."""
    from optuna_dashboard._note import get_note_from_system_attrs

    held = get_note_from_system_attrs(storage.get_study_system_attrs(study_id), None)
    return held["version"], held["body"]


def write_note(storage: Any, study_id: int, version: int, text: str) -> None:
    """Write a study's note under a version: the editor of a person who has a lower one open refuses to save."""
    from optuna_dashboard._note import save_note_with_version

    save_note_with_version(storage, study_id, None, version, text)


def saved_plots(storage: Any, study_id: int) -> dict[str, str]:
    """The study's plots in optuna-dashboard, as JSON, by name."""
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    found: dict[str, str] = get_plotly_graph_objects(storage.get_study_system_attrs(study_id))
    return found


def remove_plots(storage: Storage, study_id: int, names: Sequence[str]) -> None:
    """Delete plots of the study in optuna-dashboard."""
    if not names:
        return
    from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA

    held = models.StudySystemAttributeModel

    def work(session: Session) -> None:
        for name in names:
            key = held.key.startswith(f"{SYSTEM_ATTR_PLOT_DATA}{name}:", autoescape=True)
            session.execute(delete(held).where(held.study_id == study_id, key))

    storage.write(work)


def sort_saved_plots() -> None:
    """Let optuna-dashboard list saved plots by name; it lists them in the order of a set, which is random."""
    from optuna_dashboard import _custom_plot_data

    listed = _custom_plot_data.list_graph_object_ids
    _custom_plot_data.list_graph_object_ids = lambda attributes: sorted(listed(attributes))


def rename_study(storage: Storage, study_id: int, new_name: str) -> None:
    """Give the study another name; its confirmations follow. Raises StudyError if the name is taken."""

    def work(session: Session) -> None:
        study = session.get(models.StudyModel, study_id, with_for_update=True)
        if study is None:
            raise StudyError(f"there is no study with the id {study_id}; `optbench studies` lists what is there")
        if models.StudyModel.find_by_name(new_name, session) is not None:
            raise StudyError(f"there is a study {new_name!r} already; choose another name")
        held = models.StudyUserAttributeModel
        of_it = held.key == StudyAttribute.ORIGIN, held.value_json == json.dumps(study.study_name)
        session.execute(update(held).where(*of_it).values(value_json=json.dumps(new_name)))
        study.study_name = new_name

    storage.write(work)
