"""Everything of Optuna and optuna-dashboard that is not in their public interface, and nothing else.

tests/test_optuna_private.py says what has moved when a new version of either has another inside.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages._rdb import models as optuna_models
from optuna.trial import FrozenTrial

models: Any = optuna_models
"""Optuna's tables as SQLAlchemy models; `models.BaseModel.metadata` holds them."""

ARTIFACT_PREFIX = "artifacts:"
"""What the keys of system attributes begin with that register an artifact of a study or a trial."""


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


def read_note(storage: Any, study_id: int) -> tuple[int, str]:
    """The version and the text of a study's note in optuna-dashboard; (0, "") if there is none."""
    from optuna_dashboard._note import get_note_from_system_attrs

    held = get_note_from_system_attrs(storage.get_study_system_attrs(study_id), None)
    return held["version"], held["body"]


def write_note(storage: Any, study_id: int, version: int, text: str) -> None:
    """Write a study's note under a version: the editor of a person who has a lower one open refuses to save."""
    from optuna_dashboard._note import save_note_with_version

    save_note_with_version(storage, study_id, None, version, text)


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
    """What the keys of system attributes begin with that hold a saved plot; its name and a colon follow."""
    from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA

    return str(SYSTEM_ATTR_PLOT_DATA)


def sort_saved_plots() -> None:
    """Let optuna-dashboard list saved plots by name; it lists them in the order of a set, which is random."""
    from optuna_dashboard import _custom_plot_data

    listed = _custom_plot_data.list_graph_object_ids
    _custom_plot_data.list_graph_object_ids = lambda attributes: sorted(listed(attributes))
