"""What happens to workers and databases in real life, to real processes; after each, the study holds its promises."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from optbench.storage import find_study, open_storage
from tests.conftest import write_toml
from tests.crew import HEARTBEAT_TIMEOUT, SWEEP, check, worker_pid
from tests.servers import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_restarts_costs_time_and_nothing_else(crew_on, server, kind):
    crew = crew_on(kind, 120)
    members = [crew.start() for _ in range(2)]
    crew.wait(lambda: all(crew.training(member) for member in members))
    server(kind).restart(seconds_down=HEARTBEAT_TIMEOUT + 1)
    told = crew.finish()
    assert check(crew) == {"finished": 120, "trained again": 0}
    for text in told:
        assert text.count("trying again for 10 minutes") == text.count("the database answers again") == 1, told
        assert "s3cret" not in text


def test_a_worker_frozen_for_longer_than_its_heartbeat_timeout_drops_what_others_took_over(crew_on):
    crew = crew_on("sqlite", 60)
    frozen, other = crew.start(), crew.start()
    crew.wait(lambda: crew.training(frozen) and crew.training(other))
    freeze(crew, frozen)
    crew.wait(lambda: any(t.state == TrialState.FAIL for t in crew.trials()))
    crew.hit(frozen, signal.SIGCONT)
    told = crew.finish()
    assert frozen.returncode == other.returncode == 0
    assert "another worker took it over after this one's heartbeat timed out" in told[0]
    assert check(crew)["trained again"] in (1, 2)


def test_four_workers_of_one_command_share_an_empty_database_and_end_with_it(crew_on):
    crew = crew_on("sqlite", 24, "--workers=4")
    crew.start()
    (told,) = crew.finish()
    assert check(crew) == {"finished": 24, "trained again": 0}
    assert told.count("] trial ") == 24
    assert "study crew: 24/24 trials, done" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_of_one_command_end_with_it_in_good_order(crew_on, number):
    crew = crew_on("sqlite", 500, "--workers=2")
    parent = crew.start()
    crew.wait(lambda: finished(crew, 3))
    parent.send_signal(number)
    out = crew.said(parent, end=60)
    crew.wait(lambda: workers_of(crew) == 0, ended=True)
    assert not [t for t in crew.trials() if t.state == TrialState.RUNNING]
    assert {t.user_attrs["reason"] for t in crew.trials() if t.state == TrialState.FAIL} == {"interrupted"}
    if number == signal.SIGINT:
        assert parent.returncode == 130
        assert out.splitlines()[-1] == "stopped; the same command carries on"


def test_parameters_that_the_definition_gives_are_not_tried_for_ever(crew_on):
    crew = crew_on("sqlite", 3, "--retries=0")
    crew.file = write_toml(crew.folder / "crew.toml", SWEEP | {"trials": 3, "epochs": 400, "sampler": {"name": "qmc"}})
    first = crew.start()
    crew.wait(lambda: crew.training(first))
    crew.hit(first, signal.SIGKILL)
    second = crew.start()
    out = crew.said(second, end=120)
    assert second.returncode == 2
    assert "lacks 2 of its trials: their hyperparameters crashed a worker 1 time(s)" in out.splitlines()[-1]
    assert finished(crew, 1)


def test_workers_that_die_fail_their_command(crew_on):
    crew = crew_on("sqlite", 500, "--workers=2")
    parent = crew.start()
    crew.wait(lambda: finished(crew, 3) and len({worker_pid(t) for t in crew.trials()}) == 2)
    for pid in {worker_pid(t) for t in crew.trials()}:
        os.kill(pid, signal.SIGKILL)
    out = crew.said(parent, end=60)
    assert parent.returncode == 1
    assert out.count("was ended by SIGKILL; the others carried on") == 2
    assert "a worker failed; the same command carries on" in out


def test_a_full_disk_delays_the_sweep_and_spoils_nothing(crew_on):
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed: nothing here can make the disk look full")
    crew = crew_on("sqlite", 24)
    member = crew.start("prlimit", "--fsize=2000000")
    crew.wait(lambda: "trying again" in crew.said(member))
    line = next(line for line in crew.said(member).splitlines() if "trying again" in line)
    assert line.startswith("storage sqlite:///")
    assert any(word in line for word in ("disk is full", "disk I/O error"))
    crew.hit(member, signal.SIGINT)
    out = crew.said(member, end=60)
    assert member.returncode == 130
    assert "stopped while the database did not answer" in out
    before = {t.number: t.intermediate_values for t in crew.trials() if t.state.is_finished()}
    crew.start()
    crew.finish()
    check(crew)
    after = {t.number: t.intermediate_values for t in crew.trials()}
    assert before
    assert before == {number: after[number] for number in before}


def test_what_is_told_or_deleted_elsewhere_is_said_in_one_line(crew_on):
    crew = crew_on("sqlite", 500)
    member = crew.start()
    crew.wait(lambda: finished(crew, 3) and crew.training(member))
    told = tell_a_running_trial(optuna.load_study(study_name="crew", storage=crew.url))
    crew.wait(lambda: finished(crew, 8))
    optuna.delete_study(study_name="crew", storage=crew.url)
    out = crew.said(member, end=60)
    assert member.returncode == 2
    assert f"trial {told} is no longer this worker's: another program ended it" in out
    assert out.splitlines()[-1].startswith("optbench: study 'crew' was deleted or renamed by another program")
    assert "Traceback" not in out


def test_a_database_moved_away_under_a_running_sweep_ends_it_with_one_line(crew_on, tmp_path):
    crew = crew_on("sqlite", 500)
    member = crew.start()
    crew.wait(lambda: finished(crew, 3))
    file = Path(crew.url.removeprefix("sqlite:///"))
    file.rename(tmp_path / "moved.db")
    out = crew.said(member, end=60)
    assert member.returncode == 2
    assert "was moved, deleted or replaced while it was in use" in out.splitlines()[-1]
    assert "Traceback" not in out
    assert not file.exists()


def tell_a_running_trial(study):
    """Tell the newest trial that runs; another one if it ended in that moment."""
    while True:
        number = max((t.number for t in study.trials if t.state == TrialState.RUNNING), default=None)
        with suppress(ValueError, UpdateFinishedTrialError):
            if number is not None:
                study.tell(number, 0.5)
                return number


def freeze(crew, member):
    """Freeze it between two transactions: in one it would keep SQLite's lock until it goes on."""
    while True:
        crew.hit(member, signal.SIGSTOP)
        with closing(sqlite3.connect(crew.url.removeprefix("sqlite:///"), timeout=2, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                crew.hit(member, signal.SIGCONT)
                time.sleep(0.05)
            else:
                other.execute("ROLLBACK")
                return


def finished(crew, count):
    return sum(t.state.is_finished() for t in crew.trials()) >= count


def workers_of(crew):
    storage = open_storage(crew.url)
    try:
        return find_study(storage, "crew").workers
    finally:
        storage.close()
