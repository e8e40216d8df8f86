"""Tables on terminals of every width: no number is cut, and a note names the columns that were left out."""

import re
from collections import Counter
from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from optbench.cli import tables
from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.trials import seconds_left
from optbench.cli.tables.words import duration, score
from optbench.data.dataset import facts_of_earlier
from optbench.definition.plain import as_written, toml
from optbench.scheduler.states import State
from optbench.storage import StudyRecord, TrialRecord, WorkerRecord
from optbench.storage.about import About
from tests.conftest import sweep_of

ADAM = {"learning_rate": 2.60394e-05, "one_minus_beta_1": 0.1, "one_minus_beta_2": 1.23456e-06, "epsilon": 9.87654e-09}


def printed(parts, width):
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        for part in parts if not isinstance(parts, Fitted) else [parts]:
            console.print(part)
    return capture.get()


def study_of(**changes):
    sweep = sweep_of(optimizer="adam", space={name: {"low": 1e-6, "high": 0.5, "log": True} for name in ADAM}, trials=9)
    given = {
        "study_id": 1, "name": "narrow", "fingerprint": {}, "versions": {"optbench": "0.1.0"}, "total": 9,
        "metric": "validation accuracy", "best": 0.9789, "epochs": 18, "changed": None, "workers": 0,
        "origin": None, "about": About(owner="ada"), "sweep": sweep, "finals": None, "plan": None,
        "facts": facts_of_earlier("digits"),
        "counts": {"complete": 2, "pruned": 0, "diverged": 0, "running": 0, "failed": 0},
    }  # fmt: skip
    return StudyRecord(**({field.name: sweep.definition() for field in fields(StudyRecord)} | given | changes))


def trial_of(number, **changes):
    hparams = {"learning_rate": 2.60394e-05, "beta_1": 0.9, "beta_2": 0.999998765, "epsilon": 9.87654e-09}
    given = {
        "number": number, "trial_id": number, "state": State.COMPLETE, "value": 0.9789, "last": 0.9789,
        "optimizer": "adam",
        "params": ADAM, "hyperparameters": hparams, "seed": 4_294_967_295, "epochs": 2, "slot": number, "seconds": 1.0,
        "retries": 0,
        "worker": "host-1-abc",
    }  # fmt: skip
    return TrialRecord(**(dict.fromkeys(field.name for field in fields(TrialRecord)) | given | changes))


NUMBERS = ["97.89", "2.60394e-05", "0.1", "1.23456e-06", "9.87654e-09"]


@pytest.mark.parametrize("width", [*range(12, 130), 200])
def test_no_number_is_cut_at_any_width(width):
    out = printed(tables.show(study_of(), [trial_of(0), trial_of(1)], 10), width)
    shown = out.partition("definition")[0]
    assert all(re.search(rf"(?<![\w.]){re.escape(number)}(?!\S)", shown) for number in NUMBERS), shown
    assert "..." not in out
    assert "…" not in out
    assert all(len(line.rstrip()) <= width for line in out.splitlines())


def test_at_80_columns_a_note_names_epochs_and_seed_as_left_out():
    out = printed(tables.show(study_of(), [trial_of(0)], 10), 80)
    assert "80 columns are too narrow for: epochs, seed; --json has everything" in out
    assert "4294967295" not in out
    assert "4294967295" in printed(tables.show(study_of(), [trial_of(0)], 10), 100)


def test_searched_parameters_are_shown_as_the_user_wrote_them():
    space = {"learning_rate": {"low": 0.01, "high": 1.0}, "one_minus_rho": [1 - 0.95, 0.1]}
    study = study_of(sweep=sweep_of(space=space))
    hparams = {"learning_rate": 0.5, "rho": 0.95, "epsilon": 1e-7}
    trial = trial_of(
        0, optimizer="adadelta", params={"learning_rate": 0.5, "one_minus_rho": 1 - 0.95}, hyperparameters=hparams
    )
    out = printed(tables.show(study, [trial], 10), 200)
    assert "one_minus_rho" in out.splitlines()[1]
    assert "0.05 " in out.splitlines()[2]
    assert "0.05000000000000" not in out
    assert "the same in all of them: epsilon = 1e-07" in out


def test_trials_come_first_and_the_definition_last():
    lines = printed(tables.show(study_of(), [trial_of(0)], 10), 200).splitlines()
    assert lines[0].startswith("study narrow: ")
    assert lines[2].split()[:2] == ["0", "97.89"]
    assert lines.index("definition") > 3
    assert lines[-1] == "versions: optbench 0.1.0"


def test_failed_trials_are_shown_with_reason_retries_and_worker():
    reason = "worker host-1-abc is gone"
    records = [
        trial_of(0, state=State.FAILED, value=None, reason=reason),
        trial_of(1, state=State.FAILED, value=None, slot=0, reason=reason, retries=1),
        trial_of(2, state=State.INTERRUPTED, value=None, reason="interrupted", params={**ADAM, "epsilon": 1e-7}),
        trial_of(3),
    ]
    out = printed(tables.show(study_of(), records, 10), 200)
    rows = [line for line in out.splitlines() if "host-1-abc" in line]
    assert "3 failed or interrupted trials" in out
    assert rows[0].split() == ["0", "failed", "2", "0", *reason.split(), "host-1-abc"]
    assert rows[1].split()[:4] == ["1", "failed", "2", "1"]
    why = "Ctrl-C, SIGTERM or --timeout stopped its worker"
    assert " ".join(rows[2].split()) == f"2 interrupted 2 0 {why} host-1-abc"
    assert "3 failed or interrupted trials, the newest 1" in printed(tables.show(study_of(), records, 1), 200)


def worker_of(name, age):
    return WorkerRecord(name=name, host="host", process=17, heartbeat_age=age, timeout=60)


def test_a_running_study_is_shown_with_its_workers_and_running_trials():
    started = datetime.now() - timedelta(seconds=42)
    unfinished = {"state": "running", "value": None, "last": 0.5, "epochs": 1, "started": started}
    records = [trial_of(0), trial_of(5, **unfinished)]
    workers = [worker_of("host-1-abc", 3.2), worker_of("host-2-dead", 600.0)]
    out = printed(tables.show(study_of(workers=1), records, 10, workers), 200)
    assert re.search(r"^host-1-abc +alive +3 s ago +1 +17", out, re.MULTILINE)
    assert re.search(r"^host-2-dead +dead +10 min ago +0 +17", out, re.MULTILINE)
    assert re.search(r"^5 +1/2 +50.00 +4\d s +host-1-abc", out, re.MULTILINE)
    assert "running trials" not in printed(tables.show(study_of(), [trial_of(0)], 10), 200)


def test_a_running_study_says_how_long_it_still_needs():
    start = datetime(2026, 1, 1, 12)
    ended = [
        trial_of(number, epochs=10, started=start, ended=start + timedelta(seconds=20 + number)) for number in (0, 1)
    ]
    running = trial_of(2, state=State.RUNNING, epochs=10, value=None, started=start)
    study = replace(study_of(), total=8, counts=Counter({State.COMPLETE: 2}))
    epochs = 6 * study.sweep.epochs - 10
    assert seconds_left(study, [*ended, running], start + timedelta(seconds=60)) == pytest.approx(max(0, epochs) * 2)
    assert seconds_left(study, [running], start) is None


def test_a_heartbeat_in_the_future_is_said_to_be_ahead():
    told = printed(tables.show(study_of(), [], 10, [worker_of("a", 5.0), worker_of("b", -3600.0)]), 200)
    assert "5 s ago" in told
    assert "60 min ahead of this clock" in told
    assert (worker_of("a", 5.0).alive, worker_of("b", -3600.0).alive) == (True, False)


def test_json_has_the_unfinished_trials_and_the_workers():
    failed = trial_of(1, state=State.FAILED, value=None, reason="out of memory")
    shown = tables.show_json(study_of(), [trial_of(0), failed], 10, [worker_of("host-1-abc", 3.2)])
    assert [(trial["number"], trial["reason"]) for trial in shown["unfinished"]] == [(1, "out of memory")]
    assert [(worker["name"], worker["alive"]) for worker in shown["workers"]] == [("host-1-abc", True)]
    assert shown["top"][0]["value"] == 0.9789


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_list_of_studies_names_the_columns_that_it_left_out(width):
    records = [replace(study_of(), name=f"study {n}", changed=datetime(2026, 1, 2, 3, 4)) for n in range(3)]
    out = printed(tables.studies([(one, None) for one in records]), width)
    titles = ["rests on", "optimizer", "by state", "epochs", "sweep", "changed (UTC)"]
    missing = [title for title in titles if title.split()[0] not in out.splitlines()[0] + out.splitlines()[1]]
    note = " ".join(out.split("\n\n")[-1].split())
    assert (f"{width} columns are too narrow for: {', '.join(missing)};" in note) is bool(missing)
    assert "97.89 %" in out


def test_if_no_table_fits_each_row_becomes_a_block_of_lines():
    columns = [Column("trial", ["1", "2"]), Column("learning_rate", ["2.60394e-05", "1"])]
    assert printed(Fitted(columns), 15) == "trial: 1\nlearning_rate: \n2.60394e-05\n\ntrial: 2\nlearning_rate: \n1\n"


def test_numbers_and_durations_are_readable():
    assert toml({"one_minus_rho": 1 - 0.95}) == "one_minus_rho = 0.05\n"
    assert as_written({"rho": [1 - 0.95, 1 / 3], "n": 3, "s": "x"}) == {
        "rho": [0.05, 0.333333333333333],
        "n": 3,
        "s": "x",
    }
    assert (score("validation accuracy", 0.9789), score("value", 1234567.0), score("value", None)) == (
        "97.89 %",
        "1.23457e+06",
        "-",
    )
    assert [duration(seconds) for seconds in (42, 300, 11520)] == ["42 s", "5 min", "3.2 h"]
