"""The command line as a person types it: whole sweeps in a process of their own, signals, and bad input."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import closing, contextmanager, suppress

import keras
import optuna
import pytest

from tests.conftest import TINY, write_toml

COMMAND = [sys.executable, "-m", "optbench"]
LONG = TINY | {"name": "long", "trials": 200, "epochs": 600, "pruner": {"name": "none"}}


def optbench(*arguments, cwd, code=0, **environment):
    """What the command prints on stdout, or on stderr if it is to fail; its exit code is checked."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the tiny sweep was run to its end."""
    folder = tmp_path_factory.mktemp("place")
    write_toml(folder / "tiny.toml", TINY)
    (folder / "out.txt").write_text(optbench("sweep", "tiny.toml", "--lanes", 4, cwd=folder))
    return folder


def database(folder, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/storage/optbench.db")


def test_a_sweep_prints_a_line_a_trial_and_a_summary(place):
    out = (place / "out.txt").read_text().splitlines()
    assert [line.split("]")[0] for line in out[:6]] == [f"[{n}/6" for n in range(1, 7)]
    assert out[6].startswith("study tiny: 6/6 trials, done")
    assert re.match(r"best: validation accuracy \d\d\.\d\d % in trial \d: learning_rate=", out[7])
    assert out[-1] == " export: optbench export tiny"
    assert "confirm: optbench confirm tiny" in out


def test_the_same_command_again_does_nothing_and_says_so(place):
    assert "has 6 of 6 trials already; nothing to do" in optbench("sweep", "tiny.toml", cwd=place)
    assert len(database(place, "tiny").trials) == 6


def test_a_larger_total_carries_on(place):
    optbench("sweep", "tiny.toml", "--study", "grown", cwd=place)
    out = optbench("sweep", "tiny.toml", "--study", "grown", "--trials", 8, "--lanes", 2, cwd=place)
    assert out.startswith("[7/8]")
    assert "8/8 trials, done" in out
    assert len(database(place, "grown").trials) == 8


def test_another_definition_is_refused_and_named(place):
    told = optbench("sweep", "tiny.toml", "--epochs", 3, cwd=place, code=2)
    assert "has another definition: epochs is 2 there, 3 here" in told
    assert len(database(place, "tiny").trials) == 6


def test_studies_and_show(place):
    listed = json.loads(optbench("studies", "--json", cwd=place))
    tiny = next(study for study in listed if study["name"] == "tiny")
    assert (tiny["state"], tiny["total"], tiny["optimizer"]) == ("done", 6, "adadelta")
    assert sum(tiny["trials"].values()) == 6
    assert tiny["best"] == database(place, "tiny").best_value
    assert "tiny" in optbench("studies", cwd=place)
    shown = json.loads(optbench("show", "tiny", "--top", 2, "--json", cwd=place))
    assert len(shown["top"]) == 2
    assert shown["top"][0]["value"] == tiny["best"]
    assert shown["definition"]["space"]["learning_rate"]["log"] is True
    assert "learning_rate" in optbench("show", "tiny", cwd=place)


def test_json_stands_alone_on_standard_output(place):
    (grown,) = json.loads(optbench("sweep", "tiny.toml", "--study", "alone", "--trials", 2, "--json", cwd=place))
    assert (grown["name"], grown["state"], grown["total"], len(grown["top"])) == ("alone", "done", 2, 2)
    (again,) = json.loads(optbench("confirm", "alone", "--top", 1, "--seeds", 2, "--json", cwd=place))
    assert again["name"] == "alone/confirm"
    (setting,) = again["settings"]
    assert (setting["accuracy"]["n"], setting["published"]) == (2, None)
    assert setting["accuracy"]["mean"] == pytest.approx(sum(trial["value"] for trial in again["top"]) / 2)
    assert "95 % interval" in optbench("show", "alone/confirm", cwd=place)


def test_a_trial_replays_bit_for_bit_at_any_width(place):
    assert "same: 2 epochs compared exactly" in optbench("replay", "tiny", 3, cwd=place)
    assert json.loads(optbench("replay", "tiny", 3, "--lanes", 1, "--json", cwd=place))["same"] is True


def test_a_replay_that_differs_exits_with_1(place, tmp_path):
    source, copy = place / "storage" / "optbench.db", tmp_path / "storage" / "optbench.db"
    copy.parent.mkdir()
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(copy)) as target, target:
        origin.backup(target)
        target.execute("UPDATE optbench_epochs SET train_accuracy = train_accuracy + 0.01 WHERE trial_id = 1")
    done = subprocess.run([*COMMAND, "replay", "tiny", "0"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "DIFFERENT" in done.stdout


def test_exports(place):
    best = database(place, "tiny").best_trial
    content = json.loads(optbench("export", "tiny", cwd=place))
    assert (content["trial"], content["value"]) == (best.number, best.value)
    assert content["hyperparameters"]["learning_rate"] == best.params["learning_rate"]
    optbench("export", "tiny", "--format", "keras", "-o", "best.json", cwd=place)
    optimizer = keras.optimizers.deserialize(json.loads((place / "best.json").read_text()))
    assert type(optimizer) is keras.optimizers.Adadelta
    assert float(optimizer.learning_rate) == pytest.approx(best.params["learning_rate"], rel=1e-6)
    assert optimizer.epsilon == best.params["epsilon"]


def test_an_exported_sweep_gives_the_same_accuracy(place):
    text = optbench("export", "tiny", "--format", "toml", "--trial", 1, cwd=place)
    (place / "one.toml").write_text(text)
    assert tomllib.loads(text)["trial"][0]["learning_rate"] == database(place, "tiny").trials[1].params["learning_rate"]
    optbench("sweep", "one.toml", cwd=place)
    assert database(place, "tiny-trial-1").best_trial.value == database(place, "tiny").trials[1].value


def test_an_exported_model_scores_what_the_row_says(place, digits):
    told = optbench("export", "tiny", "--model", "best.keras", cwd=place)
    model = keras.models.load_model(place / "best.keras")
    _, accuracy = model.evaluate(digits.validation.pixels, digits.validation.labels, verbose=0)
    value = database(place, "tiny").best_value
    assert accuracy == pytest.approx(value, abs=1e-6)
    assert f"validation accuracy {100 * value:.2f} %, as stored" in told
    assert "ends in .keras" in optbench("export", "tiny", "--model", "best.h5", cwd=place, code=2)


def test_the_reference_trainer_runs_a_sweep(place):
    optbench("sweep", "tiny.toml", "--study", "stock", "--trials", 2, "--trainer", "reference", cwd=place)
    trial = database(place, "stock").trials[0]
    assert (trial.user_attrs["trainer"], trial.user_attrs["lanes"]) == ("reference", 1)
    same = database(place, "tiny").trials[0]
    assert trial.params == same.params
    assert trial.value == pytest.approx(same.value, abs=0.01)


def test_a_list_of_fixed_trials_opens_the_test_set(place):
    listed = [
        {"optimizer": "adam", "label": "Adam", "learning_rate": 0.01, "seeds": [0, 1], "published_test_accuracy": 0.9},
        {"optimizer": "adadelta", "label": "Ada", "seeds": [0, 1]},
    ]
    table = {"name": "fixed", "epochs": 2, "batch": 64, "data": {"name": "digits", "validation": 0}, "trial": listed}
    write_toml(place / "fixed.toml", table)
    out = optbench("sweep", "fixed.toml", cwd=place)
    study = database(place, "fixed")
    assert study.metric_names == ["test accuracy"]
    assert [t.user_attrs["optimizer"] for t in study.trials] == ["adam"] * 2 + ["adadelta"] * 2
    assert all(round(t.value * 297, 6) == round(t.value * 297) for t in study.trials)
    assert "90.00" in out
    assert "Ada" in out
    assert "export" not in out
    assert "is not a search, so it has no best trial" in optbench("export", "fixed", cwd=place, code=2)
    assert [t["number"] for t in json.loads(optbench("show", "fixed", "--json", cwd=place))["top"]] == [0, 1, 2, 3]
    assert f"test accuracy {100 * study.trials[1].value:.2f} % and" in optbench("replay", "fixed", 1, cwd=place)


@contextmanager
def long_sweep(folder):
    """The long sweep as a process of its own that has trained three epochs of its first trial; killed at the end."""
    write_toml(folder / "long.toml", LONG)
    command = [*COMMAND, "sweep", "long.toml", "--lanes", "2"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for_epochs(folder, process)
            yield process
        finally:
            process.kill()


def wait_for_epochs(folder, process):
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if (folder / "storage" / "optbench.db").exists():
            with suppress(KeyError):  # the study is not there yet
                trials = database(folder, "long").trials
                if trials and len(trials[0].intermediate_values) >= 3:
                    return
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the sweep trained no three epochs: {process.communicate()}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_and_the_same_command_carries_on(number, code, tmp_path):
    with long_sweep(tmp_path) as process:
        process.send_signal(number)
        out, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "Traceback" not in told
    assert out.splitlines()[-1] == "stopped; the same command carries on"
    failed = [t for t in database(tmp_path, "long").trials if t.state.name == "FAIL"]
    assert len(failed) == 2 == len(database(tmp_path, "long").trials)
    assert {t.user_attrs["reason"] for t in failed} == {"interrupted"}
    optbench("sweep", "long.toml", "--lanes", 2, "--trials", 3, cwd=tmp_path)
    trials = database(tmp_path, "long").trials
    finished = [t for t in trials if t.state.name == "COMPLETE"]
    assert {t.state.name for t in trials} == {"COMPLETE", "FAIL"}
    assert sorted(t.user_attrs["slot"] for t in finished) == [0, 1, 2]
    assert {tuple(t.params.items()) for t in failed} <= {tuple(t.params.items()) for t in finished}


def test_running_trials_and_their_curves_can_be_seen_while_they_run(tmp_path):
    with long_sweep(tmp_path):
        trial = database(tmp_path, "long").trials[0]
        listed = json.loads(optbench("studies", "--json", cwd=tmp_path))
    assert trial.state.name == "RUNNING"
    assert len(trial.intermediate_values) >= 3
    assert listed[0]["state"] == "running"


def test_no_trial_starts_after_the_time_limit_and_the_same_command_carries_on(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY)
    assert "0/6 trials, interrupted" in optbench("sweep", "tiny.toml", "--timeout", 0.001, cwd=tmp_path)
    assert database(tmp_path, "tiny").trials == []
    assert "6/6 trials, done" in optbench("sweep", "tiny.toml", "--timeout", 300, cwd=tmp_path)


BAD = [
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
    (["replay", "x", "one"], "trial 'one' is not a number; `optbench show x` lists the trials"),
    (["sweep", "quickstart", "--study=-x"], "no - at the beginning"),
    (["sweep", "quickstart", "--study", "a\nb"], "printable"),
    (
        ["sweep", "quickstart", "--epochs", "99999999999999999999"],
        "--epochs 99999999999999999999: expected 1000000 or less",
    ),
    (["sweep", "quickstart", "--storage", "sqlite:///x.db?mode=ro"], "has options; expected a plain file"),
    (["studies", "--storage", "mysql://me:secret@127.0.0.1:1/x"], "mysql+pymysql://me:***@127.0.0.1:1/x"),
    (["sweep", "quickstart", "--workers", "0"], "--workers 0; expected a whole number from 1 to 64"),
    (["sweep", "quickstart", "--heartbeat-timeout", "1"], "--heartbeat-timeout 1; expected"),
    (["sweep", "quickstart", "--retries", "-1"], "--retries -1; expected"),
    (["sweep", "odd.toml", "--workers", "2"], "unknown data set 'mnits'; did you mean 'mnist'"),
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


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_gets_one_line_and_writes_nothing(arguments, message, tmp_path):
    (tmp_path / "text.toml").write_text("this is = = no definition at all")
    write_toml(tmp_path / "wide.toml", TINY | {"data": {"name": "digits", "validation": 1500}})
    write_toml(tmp_path / "large.toml", TINY | {"batch": 5000})
    (tmp_path / "long.toml").write_bytes(b"#" * 10_000_000)
    write_toml(tmp_path / "odd.toml", TINY | {"data": {"name": "mnits", "validation": 10}})
    before = sorted(path.name for path in tmp_path.iterdir())
    told = optbench(*arguments, cwd=tmp_path, code=2)
    assert message in told
    assert len(told.splitlines()) == 1, told
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_export_leaves_what_is_no_plain_file_in_place(place):
    link, fifo = place / "link.json", place / "fifo"
    (place / "target.json").write_text("old")
    link.symlink_to("target.json")
    optbench("export", "tiny", "-o", "link.json", cwd=place)
    assert link.is_symlink()
    assert json.loads((place / "target.json").read_text())["study"] == "tiny"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
        optbench("export", "tiny", "-o", "fifo", cwd=place)
        assert json.loads(reader.communicate(timeout=30)[0])["study"] == "tiny"
    assert fifo.is_fifo()


def test_export_to_a_place_that_cannot_be_written(place):
    assert "cannot be written" in optbench("export", "tiny", "-o", "none/x.json", cwd=place, code=2)


def test_unknown_studies_and_trials(place):
    assert "did you mean 'tiny'" in optbench("show", "tinny", cwd=place, code=2)
    assert "has no trial 99" in optbench("replay", "tiny", 99, cwd=place, code=2)


def test_the_doctor_a_backup_and_deleting(place, tmp_path):
    def of(*arguments, code=0):
        return optbench(*arguments, cwd=tmp_path, code=code, OPTBENCH_STORAGE=f"sqlite:///{tmp_path}/copy.db")

    assert "bytes" in optbench("backup", tmp_path / "copy.db", cwd=place)
    assert json.loads(of("doctor", "--json")) == []
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection, connection:
        connection.execute("DELETE FROM optbench_epochs WHERE trial_id = 2 AND epoch = 1")
        connection.execute("UPDATE studies SET study_name = 'baseline' WHERE study_name = 'tiny'")
    done = subprocess.run(
        [*COMMAND, "doctor", "--storage", f"sqlite:///{tmp_path}/copy.db"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "study baseline: trial 1 (COMPLETE) trained 2 epochs; its curve has 1 of them" in done.stdout
    assert "is the baseline that others are compared with; type --force to delete it" in of(
        "delete", "baseline", code=2
    )
    assert "Standard input is not a terminal, so nobody can answer; type --yes to agree" in of(
        "delete", "baseline", "--force", code=2
    )
    assert "is deleted" in of("delete", "baseline", "--force", "--yes")
    assert "no study 'baseline'" in of("show", "baseline", code=2)


def test_the_doctor_of_a_damaged_file_says_what_it_found(place, tmp_path):
    url = f"sqlite:///{tmp_path}/copy.db"
    optbench("backup", tmp_path / "copy.db", cwd=place)
    whole = (tmp_path / "copy.db").read_bytes()
    (tmp_path / "copy.db").write_bytes(whole[: -4096 * 3] + bytes(4096 * 3))
    done = subprocess.run([*COMMAND, "doctor", "--storage", url], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "SQLite finds: " in done.stdout
    assert done.stdout.splitlines()[-1].endswith("problems")


def test_the_storage_comes_from_the_environment(place, tmp_path):
    url = f"sqlite:///{place}/storage/optbench.db"
    assert "tiny" in optbench("studies", cwd=tmp_path, OPTBENCH_STORAGE=url)


def test_version(tmp_path):
    assert optbench("--version", cwd=tmp_path).startswith("optbench 0.")
