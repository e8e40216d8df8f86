"""Which modules may import which, read from their import lines; and that quick commands load no TensorFlow."""

import ast
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "optbench").rglob("*.py"))


def imported(path):
    """The packages and modules that a file imports, including those under `if TYPE_CHECKING`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers(*packages):
    return {
        path.relative_to(ROOT / "optbench").as_posix()
        for path in MODULES
        for name in imported(path)
        if any(name == package or name.startswith(package + ".") for package in packages)
    }


LAYERS = [
    {"errors", "randomness", "defaults", "choices", "__version__"},
    {"cores", "exits", "files", "logs", "statistics", "optimizers"},
    {"definition"},
    {"data"},
    {"training"},
    {"scheduler"},
    {"storage"},
    {"worker"},
    {"launchers", "comparison"},
    {"exports", "report"},
    {"service"},
    {"api", "testing"},
    {"cli", "__init__"},
    {"__main__"},
]
"""The package's modules and folders, lowest layer first. A layer may import only from the layers below it."""


def test_layers_import_only_lower_layers():
    rank = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for path in MODULES:
        module = path.relative_to(ROOT / "optbench")
        own = module.parts[0].removesuffix(".py")
        names = {name.split(".")[1] for name in imported(path) if name.startswith("optbench.")}
        wrong += [(module.as_posix(), name) for name in names - {own} if rank[name] >= rank[own]]
    assert wrong == []


def test_only_training_and_data_import_tensorflow():
    assert all(name.startswith("training/tensorflow/") for name in importers("tensorflow", "keras"))
    assert importers("tensorflow_datasets") == {"data/tfds.py"}


@pytest.mark.parametrize(("package", "more"), [("optimizers", set()), ("data", {"definition", "files.py"})])
def test_optimizers_and_data_import_only_what_is_basic_and_definitions(package, more):
    others = {path.name for path in (ROOT / "optbench").iterdir()}
    others -= {"errors.py", "randomness.py", "choices.py", package} | more
    found = importers(*(f"optbench.{name.removesuffix('.py')}" for name in others if not name.startswith("__")))
    assert not any(name.startswith(f"{package}/") for name in found)


def test_training_imports_no_study_no_database_and_no_command_line():
    found = importers("optuna", "sqlalchemy", "typer", "optbench.storage", "optbench.scheduler")
    assert not any(name.startswith("training/") for name in found)


def test_the_scheduler_uses_no_database_and_no_private_part_of_optuna():
    assert not any(name.startswith("scheduler/") for name in importers("sqlalchemy", "optbench.storage"))
    private = re.compile(r"\b(?!self\b|cls\b)\w+\._[a-z]\w*")
    texts = {path.name: path.read_text() for path in MODULES if path.parent.name == "scheduler"}
    assert {name: found for name, text in texts.items() if (found := private.findall(text))} == {}


def test_only_the_entry_point_imports_the_command_line():
    assert {name for name in importers("optbench.cli") if not name.startswith("cli/")} == {"__main__.py"}


def test_only_these_modules_import_optuna():
    assert {name for name in importers("optuna") if not name.startswith(("storage/", "service/"))} == {
        "api/study.py",  # for the type of what Study.optuna() returns
        "report/importance.py",
        "scheduler/contract.py",
        "scheduler/in_memory.py",
        "scheduler/pruner.py",
        "scheduler/sampler.py",
        "scheduler/scheduler.py",
    }


def test_only_storage_imports_sqlalchemy():
    assert importers("sqlalchemy")
    assert all(name.startswith("storage/") for name in importers("sqlalchemy"))


def test_only_the_exports_to_them_import_programs_that_track_experiments():
    assert importers("mlflow", "tensorboard") == {
        "exports/tracking/event_file.py",
        "exports/tracking/mlflow_client.py",
        "exports/tracking/to_mlflow.py",
    }


def test_only_the_dashboards_server_imports_optuna_dashboard_which_takes_two_seconds():
    assert importers("optuna_dashboard") == {"service/serve.py", "storage/optuna_private.py"}
    lines = (ROOT / "optbench/storage/optuna_private.py").read_text().splitlines()
    assert [line for line in lines if "import" in line and "optuna_dashboard" in line] == [
        "    from optuna_dashboard import _custom_plot_data"  # in sort_saved_plots, which only the server calls
    ]


def test_only_the_service_imports_what_serves_it():
    found = importers("werkzeug", "prometheus_client")
    assert found
    assert all(name.startswith("service/web/") for name in found)


def test_no_error_is_suppressed_without_a_log_line():
    files = {path.relative_to(ROOT / "optbench").as_posix() for path in MODULES if "suppress(" in path.read_text()}
    assert files == {"logs.py"}  # if standard error is closed, there is nowhere to log


def test_modules_stay_small():
    assert {path.name: lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 250} == {}


@pytest.mark.parametrize(
    "command", [["--help"], ["studies"], ["show", "x"], ["export", "x"], ["sweep", "--help"], ["serve", "--help"]]
)
def test_only_training_loads_tensorflow_and_help_loads_no_numpy(command, tmp_path):
    code = (
        "import sys; from optbench.cli import main\n"
        f"sys.argv = ['optbench', *{command!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('loaded', [name for name in ('tensorflow', 'keras', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in ("loaded []", *([] if "--help" in command else ["loaded ['numpy']"]))
