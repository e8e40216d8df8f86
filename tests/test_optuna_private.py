"""The private parts of Optuna and optuna-dashboard that optbench uses still exist and still work as expected."""

import ast
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
from alembic.script import ScriptDirectory
from optuna.testing.pytest_storages import StorageTestCase
from optuna_dashboard import _custom_plot_data
from plotly.graph_objects import Figure

from optbench.storage import open_storage
from optbench.storage.check import look, parse_url
from optbench.storage.optuna_private import (
    local_time,
    models,
    note_attributes,
    note_keys,
    note_of,
    plot_prefix,
    revisions,
    saved_plots,
    sort_saved_plots,
    study_id_of,
    trial_id_of,
    trial_times,
)
from tests.conftest import ROOT

TIMES = "_datetime_start_utc", "_datetime_complete_utc"
PRIVATE = {"_trial_id", "_study_id", "_storage", "_backend", *TIMES}
COLUMNS = {
    "studies": {"study_id", "study_name"},
    "study_directions": {"study_direction_id", "study_id", "direction", "objective"},
    "study_user_attributes": {"study_user_attribute_id", "study_id", "key", "value_json"},
    "study_system_attributes": {"study_system_attribute_id", "study_id", "key", "value_json"},
    "trials": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
    "trial_user_attributes": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "trial_system_attributes": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
    "trial_params": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "trial_values": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "trial_intermediate_values": {
        "trial_intermediate_value_id",
        "trial_id",
        "step",
        "intermediate_value",
        "intermediate_value_type",
    },
    "trial_heartbeats": {"trial_heartbeat_id", "trial_id", "heartbeat"},
    "version_info": {"version_info_id", "schema_version", "library_version"},
}


class TestOurStorage(StorageTestCase):
    """Optuna's own tests of a storage, run on ours."""

    @pytest.fixture
    def storage(self, tmp_path):
        opened = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
        yield opened.optuna
        opened.close()


def test_optunas_tables_have_the_columns_that_we_read_and_write():
    tables = {
        table.name: {column.name for column in table.columns}
        for table in models.BaseModel.metadata.tables.values()
        if not table.name.startswith("optbench_")
    }
    assert tables == COLUMNS


def test_optuna_stores_values_as_expected():
    assert models.TrialValueModel.value_to_stored_repr(0.5) == (0.5, models.TrialValueModel.TrialValueType.FINITE)
    point = models.TrialIntermediateValueModel
    assert point.intermediate_value_to_stored_repr(float("nan"))[1] == point.TrialIntermediateValueType.NAN
    assert point.stored_repr_to_intermediate_value(*point.intermediate_value_to_stored_repr(0.25)) == 0.25


def test_ids_times_and_migrations_are_where_we_expect_them(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study = optuna.create_study(study_name="s", storage=storage.optuna)
    trial = study.ask()
    assert study_id_of(study) == storage.optuna.get_study_id_from_name("s")
    assert study_id_of(storage.optuna.get_all_studies()[0]) == study_id_of(study)
    assert trial_id_of(trial) == trial_id_of(study.trials[0]) == 1
    with storage.engine.connect() as connection:
        start = connection.execute(trial_times()[0].table.select()).one().datetime_start
    assert local_time(start) == study.trials[0].datetime_start
    revision = look(parse_url(f"sqlite:///{tmp_path}/study.db")).optuna
    assert revision == revisions()[-1]
    scripts = ScriptDirectory(str(Path(optuna.storages._rdb.__file__).parent / "alembic"))
    assert [script.revision for script in scripts.walk_revisions()] == [*reversed(revisions())]
    storage.close()


def test_notes_of_the_dashboard_are_read_and_written(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study = optuna.create_study(study_name="s", storage=storage.optuna)
    version, prefix = note_keys()
    assert note_of(storage.optuna.get_study_system_attrs(study_id_of(study))) == ""
    optuna_dashboard.save_note(study, "by hand")
    attributes = storage.optuna.get_study_system_attrs(study_id_of(study))
    assert (note_of(attributes), attributes[version]) == ("by hand", 1)
    parts = note_attributes("x" * 5000)
    assert len(parts) > 1
    assert all(key.startswith(prefix) for key in parts)
    assert note_of({version: 1, **parts}) == "x" * 5000
    storage.close()


def test_saved_plots_of_the_dashboard_are_read_and_sorted(tmp_path, monkeypatch):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study = optuna.create_study(study_name="s", storage=storage.optuna)
    for name in ("b", "c", "a"):
        optuna_dashboard.save_plotly_graph_object(study, Figure(), graph_object_id=name)
    held = saved_plots(storage.optuna, study_id_of(study))
    assert held == dict.fromkeys("abc", Figure().to_json())
    attributes = storage.optuna.get_study_system_attrs(study_id_of(study))
    assert sum(key.startswith(f"{plot_prefix()}a:") for key in attributes) >= 1
    monkeypatch.setattr(_custom_plot_data, "list_graph_object_ids", _custom_plot_data.list_graph_object_ids)
    sort_saved_plots()
    assert _custom_plot_data.list_graph_object_ids(attributes) == ["a", "b", "c"]
    storage.close()


def test_only_one_module_uses_private_names_of_optuna():
    """The others import no private module and use no private attribute of Optuna's objects."""
    found = []
    for path in (ROOT / "optbench").rglob("*.py"):
        if path.name == "optuna_private.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optuna"):
                private = "._" in str(node.module) or any(alias.name.startswith("_") for alias in node.names)
                found += [f"{path.name}: {node.module}"] if private else []
            elif isinstance(node, ast.Attribute) and node.attr in PRIVATE:
                found.append(f"{path.name}:{node.lineno}: {node.attr}")
    assert found == []
