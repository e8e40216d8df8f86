"""The command line as people use it: whole sweeps in their own processes, signals, and bad input."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import tomllib
from contextlib import closing, contextmanager, suppress
from functools import partial

import keras
import optuna
import pytest

from optbench.exits import ExitCode
from optbench.storage import count_evaluations, open_storage
from tests import light
from tests.commands import COMMAND, in_process, optbench
from tests.conftest import TINY, write_toml

LIGHT = light.environment()
LONG = TINY | {"name": "long", "trials": 200, "epochs": 40, "pruner": {"name": "none"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the tiny sweep was run to its end."""
    folder = tmp_path_factory.mktemp("folder")
    write_toml(folder / "tiny.toml", TINY | {"pruner": {"name": "none"}})  # tests look at both epochs of a trial
    (folder / "out.txt").write_text(optbench("sweep", "tiny.toml", "--lanes", 4, cwd=folder))
    return folder


def database(folder, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/storage/optbench.db")


def test_a_sweep_prints_a_line_for_each_trial_and_a_summary(folder):
    out = (folder / "out.txt").read_text().splitlines()
    assert [line.split("]")[0] for line in out[:6]] == [f"[{n}/6" for n in range(1, 7)]
    assert out[6].startswith("study tiny: 6/6 trials, done")
    assert re.match(r"best: validation accuracy \d\d\.\d\d % in trial \d: learning_rate=", out[7])
    assert out[-1] == " export: optbench export tiny"
    assert "confirm: optbench confirm tiny" in out


def test_the_same_command_again_says_that_there_is_nothing_to_do(folder):
    assert "has 6 of 6 trials already; nothing to do" in in_process("sweep", "tiny.toml", cwd=folder)
    assert len(database(folder, "tiny").trials) == 6


def test_one_command_trains_a_search_and_its_finals(folder):
    write_toml(folder / "race.toml", TINY | {"name": "race", "known": True, "finals": {"budget": 1.0}})
    out = in_process("sweep", "race.toml", cwd=folder)
    assert "finals, round 1 of 2: 4 configurations, 1 fresh seed each" in out
    assert "finals, round 2 of 2: 2 configurations, 1 fresh seed each" in out
    assert out.count("[6/6] trial 5") == 2
    assert "has 6 of 6 trials already; nothing to do" in in_process("sweep", "race.toml", cwd=folder)
    assert "same: 2 epochs compared" in in_process("replay", "race/finals", 4, cwd=folder)
    with closing(open_storage(f"sqlite:///{folder}/storage/optbench.db")) as storage:
        assert not {"race", "race/finals"} & count_evaluations(storage).keys(), "neither may touch the test set"


def test_a_larger_total_resumes_the_study(folder):
    in_process("sweep", "tiny.toml", "--study", "grown", cwd=folder)
    out = in_process("sweep", "tiny.toml", "--study", "grown", "--trials", 8, "--lanes", 2, cwd=folder)
    assert out.startswith("[7/8]")
    assert "8/8 trials, done" in out
    assert len(database(folder, "grown").trials) == 8


def test_another_definition_is_refused_and_the_difference_is_named(folder):
    error = in_process("sweep", "tiny.toml", "--epochs", 3, cwd=folder, code=2)
    assert "has another definition: epochs is 2 there, 3 here" in error
    assert len(database(folder, "tiny").trials) == 6


def test_studies_and_show_agree_with_the_database(folder):
    listed = json.loads(in_process("studies", "--json", cwd=folder))
    tiny = next(study for study in listed if study["name"] == "tiny")
    assert (tiny["state"], tiny["total"], tiny["optimizer"]) == ("done", 6, "adadelta")
    assert sum(tiny["trials"].values()) == 6
    assert tiny["best"] == database(folder, "tiny").best_value
    assert "tiny" in in_process("studies", cwd=folder)
    shown = json.loads(in_process("show", "tiny", "--top", 2, "--json", cwd=folder))
    assert len(shown["top"]) == 2
    assert shown["top"][0]["value"] == tiny["best"]
    assert shown["definition"]["space"]["learning_rate"]["log"] is True
    assert "learning_rate" in in_process("show", "tiny", cwd=folder)


def test_with_json_standard_output_is_json_alone(folder):
    (study,) = json.loads(in_process("sweep", "tiny.toml", "--study", "alone", "--trials", 2, "--json", cwd=folder))
    assert (study["name"], study["state"], study["total"], len(study["top"])) == ("alone", "done", 2, 2)
    (confirmation,) = json.loads(in_process("confirm", "alone", "--top", 1, "--seeds", 2, "--json", cwd=folder))
    assert confirmation["name"] == "alone/confirm"
    setting, *known = confirmation["settings"]
    assert (setting["accuracy"]["n"], setting["published"]) == (2, None)
    own = [trial["value"] for trial in confirmation["top"] if trial["label"] == setting["label"]]
    assert setting["accuracy"]["mean"] == pytest.approx(sum(own) / 2)
    assert [one["label"] for one in known] == ["Keras' defaults", "the paper's setting"]
    assert "95 % interval" in in_process("show", "alone/confirm", cwd=folder)


def test_a_trial_replays_bit_for_bit_with_any_number_of_lanes(folder):
    assert "same: 2 epochs compared exactly" in in_process("replay", "tiny", 3, cwd=folder)
    assert json.loads(in_process("replay", "tiny", 3, "--lanes", 1, "--json", cwd=folder))["same"] is True


def test_a_replay_that_differs_exits_with_1(folder, tmp_path):
    source, copy = folder / "storage" / "optbench.db", tmp_path / "storage" / "optbench.db"
    copy.parent.mkdir()
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(copy)) as target, target:
        origin.backup(target)
        target.execute("UPDATE optbench_epochs SET train_accuracy = train_accuracy + 0.01 WHERE trial_id = 1")
    assert "DIFFERENT" in in_process("replay", "tiny", 0, cwd=tmp_path, code=1)


def test_the_best_trial_is_exported_as_json_and_for_keras(folder):
    best = database(folder, "tiny").best_trial
    content = json.loads(in_process("export", "tiny", cwd=folder))
    assert (content["trial"], content["value"]) == (best.number, best.value)
    assert content["hyperparameters"]["learning_rate"] == best.params["learning_rate"]
    in_process("export", "tiny", "--format", "keras", "-o", "best.json", cwd=folder)
    optimizer = keras.optimizers.deserialize(json.loads((folder / "best.json").read_text()))
    assert type(optimizer) is keras.optimizers.Adadelta
    assert float(optimizer.learning_rate) == pytest.approx(best.params["learning_rate"], rel=1e-6)
    assert optimizer.epsilon == best.params["epsilon"]


def test_an_exported_sweep_gives_the_same_accuracy(folder):
    text = in_process("export", "tiny", "--format", "toml", "--trial", 1, cwd=folder)
    (folder / "one.toml").write_text(text)
    assert (
        tomllib.loads(text)["trial"][0]["learning_rate"] == database(folder, "tiny").trials[1].params["learning_rate"]
    )
    in_process("sweep", "one.toml", cwd=folder)
    assert database(folder, "tiny-trial-1").best_trial.value == database(folder, "tiny").trials[1].value


def test_an_exported_model_has_the_stored_accuracy(folder, digits):
    output = in_process("export", "tiny", "--model", "best.keras", cwd=folder)
    model = keras.models.load_model(folder / "best.keras")
    _, accuracy = model.evaluate(digits.validation.inputs, digits.validation.labels, verbose=0)
    value = database(folder, "tiny").best_value
    assert accuracy == pytest.approx(value, abs=1e-6)
    assert f"validation accuracy {100 * value:.2f} %, as stored" in output
    assert "ends in .keras" in in_process("export", "tiny", "--model", "best.h5", cwd=folder, code=2)


def test_the_reference_trainer_can_run_a_sweep(folder):
    in_process("sweep", "tiny.toml", "--study", "stock", "--trials", 2, "--trainer", "reference", cwd=folder)
    trial = database(folder, "stock").trials[0]
    assert (trial.user_attrs["trainer"], trial.user_attrs["lanes"]) == ("reference", 1)
    same = database(folder, "tiny").trials[0]
    assert trial.params == same.params
    assert trial.value == pytest.approx(same.value, abs=0.01)


def test_a_list_of_fixed_trials_is_evaluated_on_the_test_set(folder):
    listed = [
        {"optimizer": "adam", "label": "Adam", "learning_rate": 0.01, "seeds": [0, 1], "published_test_accuracy": 0.9},
        {"optimizer": "adadelta", "label": "Ada", "seeds": [0, 1]},
    ]
    table = {"name": "fixed", "epochs": 2, "batch": 64, "data": {"name": "digits", "validation": 0}, "trial": listed}
    write_toml(folder / "fixed.toml", table)
    out = in_process("sweep", "fixed.toml", cwd=folder)
    study = database(folder, "fixed")
    assert study.metric_names == ["test accuracy"]
    assert [t.user_attrs["optimizer"] for t in study.trials] == ["adam"] * 2 + ["adadelta"] * 2
    assert all(round(t.value * 297, 6) == round(t.value * 297) for t in study.trials)
    assert "90.00" in out
    assert "Ada" in out
    assert "export" not in out
    assert "is not a search, so it has no best trial" in in_process("export", "fixed", cwd=folder, code=2)
    assert [t["number"] for t in json.loads(in_process("show", "fixed", "--json", cwd=folder))["top"]] == [0, 1, 2, 3]
    assert f"test accuracy {100 * study.trials[1].value:.2f} % and" in in_process("replay", "fixed", 1, cwd=folder)


@contextmanager
def long_sweep(folder, environment=os.environ):
    """A process that has trained three epochs of the long sweep. The end of `with` kills it."""
    write_toml(folder / "long.toml", LONG)
    command = [*COMMAND, "sweep", "long.toml", "--lanes", "2"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for_epochs(folder, process)
            yield process
        finally:
            process.kill()


def wait_for_epochs(folder, process):
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if (folder / "storage" / "optbench.db").exists():
            with suppress(KeyError):  # the study does not exist yet
                trials = database(folder, "long").trials
                if trials and len(trials[0].intermediate_values) >= 3:
                    return
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the sweep did not train three epochs: {process.communicate()}")


@pytest.mark.parametrize(
    ("number", "code", "environment", "again"),
    [
        (signal.SIGINT, 130, os.environ, in_process),
        (signal.SIGTERM, 143, LIGHT, partial(optbench, **LIGHT)),
    ],
)
def test_a_signal_ends_a_sweep_and_the_same_command_resumes_it(number, code, environment, again, tmp_path):
    with long_sweep(tmp_path, environment) as process:
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert out.splitlines()[-1] == "stopped; the same command carries on"
    trials = database(tmp_path, "long").trials
    failed = [t for t in trials if t.state.name == "FAIL"]
    complete = [t for t in trials if t.state.name == "COMPLETE"]  # if the signal came late
    assert len(failed) == 2 == len(trials) - len(complete)
    assert {t.user_attrs["reason"] for t in failed} == {"interrupted"}
    total = len(complete) + 3
    again("sweep", "long.toml", "--lanes", 2, "--trials", total, cwd=tmp_path)
    trials = database(tmp_path, "long").trials
    finished = [t for t in trials if t.state.name == "COMPLETE"]
    assert {t.state.name for t in trials} == {"COMPLETE", "FAIL"}
    assert sorted(t.user_attrs["slot"] for t in finished) == [*range(total)]
    assert {tuple(t.params.items()) for t in failed} <= {tuple(t.params.items()) for t in finished}


def test_a_running_trial_and_its_curve_are_visible_while_it_runs(tmp_path):
    with long_sweep(tmp_path, LIGHT):
        trial = database(tmp_path, "long").trials[0]
        listed = json.loads(in_process("studies", "--json", cwd=tmp_path))
    assert trial.state.name == "RUNNING"
    assert len(trial.intermediate_values) >= 3
    assert listed[0]["state"] == "running"


def test_no_trial_starts_after_the_time_limit_and_the_same_command_resumes(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY)
    assert "0/6 trials, interrupted" in in_process("sweep", "tiny.toml", "--timeout", 0.001, cwd=tmp_path)
    assert database(tmp_path, "tiny").trials == []
    assert "6/6 trials, done" in in_process("sweep", "tiny.toml", "--timeout", 300, cwd=tmp_path)


BAD_INPUT = [
    (["sweep", "quikstart"], "did you mean 'quickstart'"),
    (["sweep", "quickstart", "--trials", "0"], "--trials 0: expected 1 or more"),
    (["sweep", "quickstart", "--epochs", "-3"], "--epochs -3: expected 1 or more"),
    (["sweep", "quickstart", "--lanes", "0"], "--lanes 0: expected 1 or more"),
    (["sweep", "quickstart", "--trials", "many"], "--trials many; expected a whole number; type"),
    (["sweep", "quickstart", "--timeout", "soon"], "--timeout soon; expected a number; type"),
    (["sweep", "quickstart", "--trial", "3"], "no such option: --trial; did you mean --trials?"),
    (["dashboard", "--port", "99999"], "--port 99999; expected a number of at most 65535"),
    (["sweep", "quickstart", "--timeout", "0"], "expected seconds above 0"),
    (["sweep", "quickstart", "--trainer", "torch"], "no such trainer"),
    (["sweep", "quickstart", "--trainer", "reference", "--lanes", "4"], "leave --lanes out"),
    (["sweep", "quickstart", "--study", ""], "--study: '' cannot be a study's name"),
    (["sweep", "quickstart", "--storage", "nosuch://host/x"], "is neither a file nor a URL of a known kind"),
    (["sweep", "quickstart", "--storage", "sqlite:///text.toml"], "is not an SQLite database"),
    (["sweep", "quickstart", "--storage", "sqlite:///text.toml/x.db"], "text.toml"),
    (["sweep", "text.toml"], "text.toml: not readable as TOML"),
    (["sweep", "wide.toml"], "validation = 1500, but digits has 1500"),
    (["sweep", "large.toml"], "batch = 5000"),
    (["studies"], "no database at storage/optbench.db"),
    (["show", "x"], "no database"),
    (["export", "x", "--format", "yaml"], "no such format"),
    (["export", "x", "--format", "tourch"], "no such format; did you mean 'torch'?"),
    (["data", "show", "x.csv", "--missing", "Drop"], "--missing Drop; expected one of 'mean', 'drop'; type"),
    (["replay", "x", "one"], "trial 'one' is not a number; `optbench show x` lists the trials"),
    (["sweep", "quickstart", "--study=-x"], "no - at the beginning"),
    (["sweep", "quickstart", "--study", "a\nb"], "printable"),
    (
        ["sweep", "quickstart", "--epochs", "99999999999999999999"],
        "--epochs 99999999999999999999: expected 1000000 or less",
    ),
    (["sweep", "quickstart", "--storage", "sqlite:///x.db?mode=ro"], "has options; expected a plain file"),
    (["sweep", "quickstart", "--workers", "0"], "--workers 0; expected a whole number from 1 to 64"),
    (["sweep", "quickstart", "--heartbeat-timeout", "1"], "--heartbeat-timeout 1; expected"),
    (["sweep", "quickstart", "--retries", "-1"], "--retries -1; expected"),
    (["sweep", "long.toml"], "long.toml has 10.0 MB; a sweep definition has at most 1"),
    (["backup", "copy.db"], "no database at storage/optbench.db"),
    (["delete", "x"], "no database"),
    (["doctor", "--storage", "sqlite:///text.toml"], "is not an SQLite database"),
    (["upgrade", "--storage", "sqlite:///none.db"], "no database at none.db"),
    (["sweeps"], "sweep"),
    (["sweep"], "Missing argument 'SWEEP'; type `optbench sweep --help`"),
    (["data", "prepare"], "type `optbench data prepare --help`"),
    (["dashboard", "--storage", "sqlite:///none.db"], "no database at none.db"),
    (["data", "prepare", "mnist", "--from", "nowhere"], "nowhere has no train-images-idx3-ubyte.gz"),
]
LOADS_TENSORFLOW = [(["sweep", "odd.toml", "--workers", "2"], "unknown data set 'mnits'; did you mean 'mnist'")]


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [*((in_process, *given) for given in BAD_INPUT), *((optbench, *given) for given in LOADS_TENSORFLOW)],
)
def test_bad_input_gets_one_line_and_writes_nothing(command, arguments, message, tmp_path):
    (tmp_path / "text.toml").write_text("this is = = no definition at all")
    write_toml(tmp_path / "wide.toml", TINY | {"data": {"name": "digits", "validation": 1500}})
    write_toml(tmp_path / "large.toml", TINY | {"batch": 5000})
    (tmp_path / "long.toml").write_bytes(b"#" * 10_000_000)
    write_toml(tmp_path / "odd.toml", TINY | {"data": {"name": "mnits", "validation": 10}})
    before = sorted(path.name for path in tmp_path.iterdir())
    error = command(*arguments, cwd=tmp_path, code=2)
    assert message in error
    assert len(error.splitlines()) == 1, error
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_database_that_does_not_answer_is_named_without_its_password_and_is_no_bad_input(tmp_path):
    command = "studies", "--storage", "mysql://me:secret@127.0.0.1:1/x"
    error = in_process(*command, cwd=tmp_path, code=ExitCode.UNREACHABLE)
    assert "mysql+pymysql://me:***@127.0.0.1:1/x" in error
    assert len(error.splitlines()) == 1


def test_export_writes_through_a_link_and_into_a_pipe(folder):
    link, fifo = folder / "link.json", folder / "fifo"
    (folder / "target.json").write_text("old")
    link.symlink_to("target.json")
    in_process("export", "tiny", "-o", "link.json", cwd=folder)
    assert link.is_symlink()
    assert json.loads((folder / "target.json").read_text())["study"] == "tiny"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
        in_process("export", "tiny", "-o", "fifo", cwd=folder)
        assert json.loads(reader.communicate(timeout=30)[0])["study"] == "tiny"
    assert fifo.is_fifo()


def test_export_to_a_missing_folder_is_refused(folder):
    assert "cannot be written" in in_process("export", "tiny", "-o", "none/x.json", cwd=folder, code=2)


def test_unknown_studies_and_trials_are_refused(folder):
    assert "did you mean 'tiny'" in in_process("show", "tinny", cwd=folder, code=2)
    assert "has no trial 99" in in_process("replay", "tiny", 99, cwd=folder, code=2)


def test_a_backup_can_be_checked_and_its_studies_deleted(folder, tmp_path):
    def on_copy(*arguments, code=0):
        return in_process(*arguments, "--storage", f"sqlite:///{tmp_path}/copy.db", cwd=tmp_path, code=code)

    assert "bytes" in in_process("backup", tmp_path / "copy.db", cwd=folder)
    assert json.loads(on_copy("doctor", "--json")) == []
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection, connection:
        connection.execute("DELETE FROM optbench_epochs WHERE trial_id = 2 AND epoch = 1")
        connection.execute("UPDATE studies SET study_name = 'baseline' WHERE study_name = 'tiny'")
    problem = "study baseline: trial 1 (COMPLETE) trained 2 epochs; its curve has 1 of them"
    assert problem in on_copy("doctor", code=1)
    assert "is the baseline that others are compared with; type --force to delete it" in on_copy(
        "delete", "baseline", code=2
    )
    assert "Standard input is not a terminal, so nobody can answer; type --yes to agree" in on_copy(
        "delete", "baseline", "--force", code=2
    )
    assert "is deleted" in on_copy("delete", "baseline", "--force", "--yes")
    assert "no study 'baseline'" in on_copy("show", "baseline", code=2)


def test_the_doctor_reports_a_damaged_file(folder, tmp_path):
    url = f"sqlite:///{tmp_path}/copy.db"
    in_process("backup", tmp_path / "copy.db", cwd=folder)
    whole = (tmp_path / "copy.db").read_bytes()
    (tmp_path / "copy.db").write_bytes(whole[: -4096 * 3] + bytes(4096 * 3))
    done = subprocess.run([*COMMAND, "doctor", "--storage", url], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "SQLite finds: " in done.stdout
    assert re.search(r": \d+ problems?$", done.stdout.splitlines()[-1])


def test_the_environment_may_name_the_storage(folder, tmp_path):
    url = f"sqlite:///{folder}/storage/optbench.db"
    assert "tiny" in optbench("studies", cwd=tmp_path, OPTBENCH_STORAGE=url)


def test_the_version_is_printed(tmp_path):
    assert in_process("--version", cwd=tmp_path).startswith("optbench 0.")
