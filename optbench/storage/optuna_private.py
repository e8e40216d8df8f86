"""Every use of the private parts of Optuna and optuna-dashboard, and nothing else.

tests/test_optuna_private.py fails, and says what has moved, if a new version of either changes them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages._rdb import models as optuna_models
from optuna.trial import FrozenTrial

models: Any = optuna_models
"""Optuna's tables as SQLAlchemy models; `models.BaseModel.metadata` holds them."""

ARTIFACT_PREFIX = "artifacts:"
"""The beginning of the key of every system attribute that registers an artifact of a study or a trial."""


def alembic_folder() -> Path:
    """The folder of the migration scripts of the Optuna that is installed."""
    return Path(str(models.__file__)).parent / "alembic"


def trial_id_of(trial: FrozenTrial | optuna.trial.Trial) -> int:
    """The id of the trial's row in its storage."""
    return int(trial._trial_id)


def study_id_of(study: Any) -> int:
    """The id of the row of a Study or a FrozenStudy in its storage."""
    return int(study._study_id)


def trial_times() -> tuple[Any, Any]:
    """The columns of a trial's start and end, naive and in UTC."""
    return models.TrialModel._datetime_start_utc, models.TrialModel._datetime_complete_utc


def local_time(moment: datetime | None) -> datetime | None:
    """A time of the database as Optuna shows it: naive and local."""
    return moment and moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def note_of(attributes: Mapping[str, Any]) -> str:
    """The text of a study's note in optuna-dashboard, from the study's system attributes; "" if there is none."""
    from optuna_dashboard._note import get_note_from_system_attrs

    return str(get_note_from_system_attrs(dict(attributes), None)["body"])


def note_attributes(text: str) -> dict[str, str]:
    """The system attributes in which optuna-dashboard keeps the text of a study's note, in parts."""
    from optuna_dashboard._note import split_body

    parts: dict[str, str] = split_body(text, None)
    return parts


def note_keys() -> tuple[str, str]:
    """The key of the attribute with a note's version, and the beginning of the keys of its parts.

    Whoever saves a note in the browser sends the next version, and is refused if it is not the next one any more.
    """
    from optuna_dashboard._note import note_str_key_prefix, note_ver_key

    return note_ver_key(None), note_str_key_prefix(None)


def trial_of_note(key: str) -> int | None:
    """The id of the trial whose note a system attribute of its study holds; None if it holds none."""
    found = re.match(r"dashboard:(\d+):note_", key)
    return int(found[1]) if found else None


def saved_plots(storage: Any, study_id: int) -> dict[str, str]:
    """The study's plots in optuna-dashboard, as JSON, by name."""
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    found: dict[str, str] = get_plotly_graph_objects(storage.get_study_system_attrs(study_id))
    return found


def plot_prefix() -> str:
    """The beginning of the key of every system attribute that holds a saved plot; its name and a colon follow."""
    from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA

    return str(SYSTEM_ATTR_PLOT_DATA)


def sort_saved_plots() -> None:
    """Make optuna-dashboard list saved plots by name. Otherwise it lists them in random order, that of a set."""
    from optuna_dashboard import _custom_plot_data

    listed = _custom_plot_data.list_graph_object_ids
    _custom_plot_data.list_graph_object_ids = lambda attributes: sorted(listed(attributes))
