"""Every use of the private parts of Optuna and optuna-dashboard, and nothing else.

tests/test_optuna_private.py fails, and says what has moved, if a new version of either changes them.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import optuna
from optuna.storages._rdb import models as optuna_models
from optuna.trial import FrozenTrial

models: Any = optuna_models
"""Optuna's tables as SQLAlchemy models; `models.BaseModel.metadata` holds them."""

ARTIFACT_PREFIX = "artifacts:"
"""The beginning of the key of every system attribute that registers an artifact of a study or a trial."""


@cache
def revisions() -> tuple[str, ...]:
    """The revisions of Optuna's tables that the installed Optuna knows, in their order; the last one is its own.

    They are read from the migration scripts' text: Alembic would run each script, which takes a tenth of a second.
    """
    folder = Path(str(models.__file__)).parent / "alembic" / "versions"
    line = re.compile(r'^(?:down_)?revision = (?:"(.+)"|None)$', re.MULTILINE)
    following = {
        before or None: own for own, before in (line.findall(file.read_text()) for file in folder.glob("*.py"))
    }
    found: list[str] = []
    while (after := following.get(found[-1] if found else None)) is not None:
        found.append(after)
    return tuple(found)


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
    return str(_dashboard("_note").get_note_from_system_attrs(dict(attributes), None)["body"])


def note_attributes(text: str) -> dict[str, str]:
    """The system attributes in which optuna-dashboard keeps the text of a study's note, in parts."""
    parts: dict[str, str] = _dashboard("_note").split_body(text, None)
    return parts


def note_keys() -> tuple[str, str]:
    """The key of the attribute with a note's version, and the beginning of the keys of its parts.

    Whoever saves a note in the browser sends the next version, and is refused if it is not the next one any more.
    """
    note = _dashboard("_note")
    return note.note_ver_key(None), note.note_str_key_prefix(None)


def trial_of_note(key: str) -> int | None:
    """The id of the trial whose note a system attribute of its study holds; None if it holds none."""
    found = re.match(r"dashboard:(\d+):note_", key)
    return int(found[1]) if found else None


def saved_plots(storage: Any, study_id: int) -> dict[str, str]:
    """The study's plots in optuna-dashboard, as JSON, by name."""
    found: dict[str, str] = _dashboard("_custom_plot_data").get_plotly_graph_objects(
        storage.get_study_system_attrs(study_id)
    )
    return found


def plot_prefix() -> str:
    """The beginning of the key of every system attribute that holds a saved plot; its name and a colon follow."""
    return str(_dashboard("_custom_plot_data").SYSTEM_ATTR_PLOT_DATA)


def save_plot(study: optuna.Study, name: str, figure: Any) -> None:
    """Save a figure of plotly under a name, in the place of one that has the name."""
    _dashboard("_custom_plot_data").save_plotly_graph_object(study, figure, graph_object_id=name)


def sort_saved_plots() -> None:
    """Make optuna-dashboard list saved plots by name. Otherwise it lists them in random order, that of a set."""
    from optuna_dashboard import _custom_plot_data

    listed = _custom_plot_data.list_graph_object_ids
    _custom_plot_data.list_graph_object_ids = lambda attributes: sorted(listed(attributes))


@cache
def _dashboard(name: str) -> Any:
    """A module of optuna-dashboard without the package, which imports all of scikit-learn: two seconds for each sweep.

    Raises ModuleNotFoundError if there is no such module.
    """
    package = find_spec("optuna_dashboard")
    found = package and PathFinder.find_spec(name, package.submodule_search_locations)
    if not found or not found.loader:
        raise ModuleNotFoundError(f"optuna_dashboard.{name}")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
