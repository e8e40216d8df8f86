"""The Python API as notebooks and scripts use it: from `load` to `compare` on digits, and Ctrl-C."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow
import pytest

import optbench
from optbench.errors import DefinitionError, OptbenchError, OutputError, StudyError
from optbench.scheduler.states import State
from tests import light
from tests.conftest import ROOT, write_toml
from tests.conftest import TINY as PRUNED

TINY = PRUNED | {"pruner": {"name": "none"}}
SLOW = TINY | {"name": "slow", "trials": 200, "epochs": 600}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('api')}/api.db"


@pytest.fixture(scope="module")
def studies(url):
    """Two searches of four trials, each confirmed on three seeds."""
    found = [optbench.run(TINY, url, name="first", trials=4, lanes=2)]
    adam = TINY | {"optimizer": "adam", "space": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}}
    found.append(optbench.run(adam, url, name="second", trials=4, lanes=2))
    optbench.confirm(*found, top=1, seeds=3, lanes=2, progress=False)
    return found


def test_load_takes_a_name_a_path_a_dict_or_a_sweep(tmp_path):
    path = write_toml(tmp_path / "tiny.toml", TINY)
    sweep = optbench.load(TINY)
    assert optbench.load(path) == optbench.load(str(path)) == optbench.load(sweep) == sweep
    assert optbench.load("quickstart").data.name == "digits"
    assert optbench.load(TINY, trials=9).trials == optbench.load(sweep, trials=9).trials == 9
    with pytest.raises(DefinitionError, match="did you mean 'quickstart'"):
        optbench.load("quikstart")


def test_a_study_has_trials_epochs_and_a_best_trial(studies):
    study = studies[0]
    assert (study.name, study.state) == ("first", "done")
    assert study.sweep.trials == 4
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    complete = [trial for trial in study.trials if trial.state == State.COMPLETE]
    assert study.best.value == max(trial.value for trial in complete)
    assert study.epochs()["epoch"] == [1, 2] * 4
    assert "first" in repr(study)
    assert f"{100 * study.best.value:.2f} %" in study._repr_html_()
    assert pickle.loads(pickle.dumps(study)) == study


def test_the_same_call_again_trains_nothing(studies, url, capsys):
    again = optbench.run(TINY, url, name="first", trials=4)
    assert again == studies[0]
    assert "] trial " not in capsys.readouterr().out


def test_other_libraries_can_read_a_table(studies):
    table = studies[0].table()
    assert repr(table).startswith("Table of 4 rows: trial, ")
    assert dict(table)["trial"] == [0, 1, 2, 3]
    arrow = pyarrow.table(table)
    assert arrow.column("value").to_pylist() == table["value"]
    assert table.__dataframe__().num_rows() == 4
    assert "<th>learning_rate</th>" in table._repr_html_()


def test_a_study_can_be_exported_and_opened_with_plain_optuna(studies):
    assert 'optimizer = "adadelta"' in studies[0].export("toml")
    assert studies[0].optuna().best_value == studies[0].best.value
    with pytest.raises(DefinitionError, match="no such format"):
        studies[0].export("yaml")


def test_a_comparison_has_sentences_numbers_and_a_report(studies, tmp_path):
    comparison = optbench.compare(*studies)
    assert comparison.sentences[0].startswith("first ")
    assert [arm["study"] for arm in comparison.as_dict()["arms"]] == ["first", "second"]
    assert "<td>second</td>" in comparison._repr_html_()
    assert "first" in comparison.save(tmp_path / "report.html").read_text()


def test_studies_are_listed_and_opened_by_name(studies, url):
    assert [study.name for study in optbench.studies(url)] == ["first", "second", "first/confirm", "second/confirm"]
    assert optbench.open_study("first", url) == studies[0]
    with pytest.raises(StudyError, match="did you mean 'first'"):
        optbench.open_study("firts", url)


def test_a_confirmation_has_no_best_trial(studies, url):
    confirmation = optbench.open_study("first/confirm", url)
    assert confirmation.best is None
    assert [trial.state for trial in confirmation.trials] == [State.COMPLETE] * 9, "the defaults and the paper, too"


def test_bad_counts_of_a_confirmation_are_refused(studies, url):
    for option in ("top", "seeds", "epochs", "lanes", "workers"):
        with pytest.raises(DefinitionError, match=f"{option} = 0; expected a whole number from 1 to"):
            optbench.confirm(studies[0], storage=url, **{option: 0})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optbench.confirm(["first"]), "each as an argument of its own, got one of type list"),
        (lambda: optbench.compare("first", 3), "got one of type int"),
        (lambda: optbench.confirm(), "no study to confirm"),
        (lambda: optbench.load("quickstart", trials="3"), "quickstart.toml: trials = '3'; expected a whole number"),
        (lambda: optbench.load(5), "a sweep of type int; expected a path, the name of a sweep, or a dict"),
        (lambda: optbench.open_study("first").export(trial="1"), "trial = '1'; expected the number of a trial"),
        (lambda: optbench.Dataset([[1.0], [2.0]], [0, 1], classes=["a"]), "y has the class 1, but classes has only 1"),
        (lambda: optbench.Dataset([[1.0], [2.0]], [0.5, 1]), "y has numbers that are not whole, such as 0.5"),
    ],
)
def test_what_python_gives_wrongly_is_refused_in_pythons_words(call, message, studies, url, monkeypatch):
    monkeypatch.setenv("OPTBENCH_STORAGE", url)
    with pytest.raises(OptbenchError, match=re.escape(message)):
        call()


def test_a_report_is_saved_as_a_web_page_only(studies, tmp_path):
    with pytest.raises(OutputError, match=r"r.pdf: the report is a web page"):
        optbench.compare(*studies).save(tmp_path / "r.pdf")


def test_numbers_of_numpy_are_numbers():
    given = TINY | {"trials": np.int64(3), "space": {"learning_rate": [np.float32(0.5), np.float64(0.25)]}}
    sweep = optbench.load(given, epochs=np.int32(2))
    assert (sweep.trials, sweep.epochs, sweep.space["learning_rate"].values) == (3, 2, (0.5, 0.25))


def test_two_workers_share_a_study(url):
    study = optbench.run(TINY, url, name="shared", workers=2, lanes=2, progress=False)
    assert study.state == "done"
    assert sorted(trial.slot for trial in study.trials) == list(range(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers = 0"),
        ({"workers": 1.5}, "workers = 1.5; expected a whole number from 1 to 64"),
        ({"lanes": "2"}, "lanes = '2'; expected a whole number"),
        ({"timeout": "soon"}, "timeout = soon; expected seconds above 0"),
        ({"trainer": "torch"}, "no such trainer"),
        ({"timeout": 0}, "expected seconds above 0"),
        ({"trainer": "reference", "lanes": 4}, "lanes = 4: the reference trainer trains one trial at a time"),
        ({"retries": -1}, "retries = -1; expected a whole number from 0 to 1000"),
        ({"heartbeat_timeout": 0}, "heartbeat_timeout = 0; expected a whole number from 2 to 86400"),
        ({"name": "-x"}, "name: '-x' cannot be a study's name"),
        ({"name": ""}, "name: '' cannot be a study's name"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(DefinitionError, match=message):
        optbench.run(TINY, f"sqlite:///{tmp_path}/none.db", **options)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_interrupts_the_study_and_the_script(tmp_path):
    write_toml(tmp_path / "slow.toml", SLOW)
    code = (
        "import optbench\n"
        "try:\n"
        "    optbench.run('slow.toml', lanes=2)\n"
        "except KeyboardInterrupt:\n"
        "    study = optbench.studies()[0]\n"
        "    print(study.state, sorted({trial.reason for trial in study.trials}))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env=light.environment(),
    ) as process:  # fmt: skip
        try:
            wait_for_epochs(tmp_path / "storage" / "optbench.db", process)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert out.splitlines()[-2:] == [
        "stopped; the same call carries on",
        "interrupted ['interrupted']",
    ]


def wait_for_epochs(path, process):
    """Wait until the study in this file has trained three epochs."""
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        if path.exists():
            found = optbench.studies(f"sqlite:///{path}")
            if found and len(found[0].epochs()["epoch"]) >= 3:
                return
        time.sleep(0.2)
    raise AssertionError("the study did not train three epochs")


def test_importing_the_package_imports_no_large_library_and_every_public_name_exists():
    code = (
        "import sys, optbench\n"
        "assert not {'optuna', 'tensorflow', 'rich', 'numpy'} & sys.modules.keys()\n"
        "assert all(getattr(optbench, name) for name in optbench.__all__)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def test_no_module_has_the_name_of_a_public_function():
    """Importing a module `optbench.compare` would replace the function `optbench.compare`."""
    modules = {path.stem for path in (ROOT / "optbench").iterdir()}
    assert not modules & set(optbench.__all__)
