"""Faults of real processes and databases: restarts, freezes, signals, full disks. Each must leave a sound study."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optbench.storage import find_study, open_storage
from optbench.storage.pool import pool_workers
from tests.conftest import write_toml
from tests.light import environment
from tests.servers import KINDS
from tests.workers import HEARTBEAT_TIMEOUT, STUDY, SWEEP, check, worker_pid


@pytest.mark.parametrize("kind", KINDS)
def test_workers_wait_for_a_server_that_restarts_and_lose_nothing(workers_on, server, kind):
    workers = workers_on(kind, 30)
    processes = [workers.start() for _ in range(2)]
    workers.wait_until(lambda: all(workers.is_training(process) for process in processes))
    server(kind).restart(seconds_down=HEARTBEAT_TIMEOUT + 1)
    outputs = workers.finish()
    assert check(workers) == {"finished": 30, "trained again": 0}
    for text in outputs:
        assert text.count("trying again for 10 minutes") == text.count("the database answers again") == 1, outputs
        assert "s3cret" not in text


def test_a_worker_of_the_pool_that_is_to_end_while_the_database_is_down_ends_at_once(server, new_url):
    url = new_url("postgresql")
    storage = open_storage(url, create=True)
    command = [sys.executable, "-m", "optbench.worker.pool", "--heartbeat-timeout=6"]
    held = environment() | {"OPTBENCH_STORAGE": url}
    with subprocess.Popen(command, env=held, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "waits for studies" in process.stdout.readline()
        while not pool_workers(storage) and process.poll() is None:
            time.sleep(0.1)
        storage.close()
        down = threading.Thread(target=server("postgresql").restart, kwargs={"seconds_down": 15})
        down.start()
        said = process.stdout.readline()
        process.terminate()
        _, error = process.communicate(timeout=12)
        assert down.is_alive(), "it did not wait for the database"
        down.join()
    assert process.returncode == 143
    assert "trying again" in said
    assert "Traceback" not in error


def test_a_worker_frozen_beyond_its_heartbeat_timeout_drops_the_trials_that_others_took_over(workers_on):
    workers = workers_on("sqlite", 40)
    frozen, other = workers.start(), workers.start()
    workers.wait_until(lambda: workers.is_training(frozen) and workers.is_training(other))
    freeze_at_work(workers, frozen)
    workers.wait_until(
        lambda: any(t.state == TrialState.FAIL and worker_pid(t) == frozen.pid for t in workers.trials())
    )
    workers.send(frozen, signal.SIGCONT)
    outputs = workers.finish()
    assert frozen.returncode == other.returncode == 0
    assert "another worker took it over after this one's heartbeat timed out" in outputs[0], outputs
    assert check(workers)["trained again"] in (1, 2)


def test_four_workers_of_one_command_finish_a_study_on_a_new_database(workers_on):
    workers = workers_on("sqlite", 24, "--workers=4")
    workers.start()
    (output,) = workers.finish()
    assert check(workers) == {"finished": 24, "trained again": 0}
    assert output.count("] trial ") == 24
    assert "study faults: 24/24 trials, done" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_of_a_command_end_cleanly_when_it_ends(workers_on, number):
    workers = workers_on("sqlite", 500, "--workers=2")
    write_toml(workers.file, SWEEP | {"trials": 500, "epochs": 5000})  # so that every worker has trials to end
    parent = workers.start()
    workers.wait_until(lambda: len({worker_pid(t) for t in workers.trials()}) == 2)
    parent.send_signal(number)
    out = workers.output(parent, end_within=60)
    workers.wait_until(lambda: live_workers(workers) == 0, may_end=True)
    assert not [t for t in workers.trials() if t.state == TrialState.RUNNING]
    assert {t.user_attrs["reason"] for t in workers.trials() if t.state == TrialState.FAIL} == {"interrupted"}
    if number == signal.SIGINT:
        assert parent.returncode == 130
        assert out.splitlines()[-1] == "stopped; the same command carries on"


@pytest.mark.parametrize("options", [(), ("--workers=2",)], ids=["alone", "two"])
def test_drain_lets_running_trials_finish_and_starts_no_others(workers_on, options):
    workers = workers_on("sqlite", 500, "--drain", *options)
    parent = workers.start()
    workers.wait_until(lambda: finished(workers, 3))
    parent.send_signal(signal.SIGINT)
    out = workers.output(parent, end_within=60)
    assert (parent.returncode, out.splitlines()[-1]) == (130, "stopped; the same command carries on")
    found = workers.trials()
    assert {trial.state for trial in found} == {TrialState.COMPLETE}
    assert 3 <= len(found) < 500


def test_fixed_parameters_that_crash_workers_are_not_tried_for_ever(workers_on):
    workers = workers_on("sqlite", 3, "--retries=0")
    write_toml(workers.file, SWEEP | {"trials": 3, "epochs": 200, "sampler": {"name": "qmc"}})
    first = workers.start()
    workers.wait_until(lambda: workers.is_training(first))
    workers.send(first, signal.SIGKILL)
    second = workers.start()
    out = workers.output(second, end_within=120)
    assert second.returncode == 2
    assert "lacks 2 of its trials: their hyperparameters crashed a worker 1 time;" in out.splitlines()[-1]
    assert finished(workers, 1)


def test_a_command_whose_workers_die_fails(workers_on):
    workers = workers_on("sqlite", 500, "--workers=2")
    parent = workers.start()
    workers.wait_until(lambda: finished(workers, 3) and len({worker_pid(t) for t in workers.trials()}) == 2)
    for pid in {worker_pid(t) for t in workers.trials()}:
        os.kill(pid, signal.SIGKILL)
    out = workers.output(parent, end_within=60)
    assert parent.returncode == 1
    assert out.count("was ended by SIGKILL; the others carried on") == 2
    assert "a worker failed; the same command carries on" in out


def test_a_full_disk_delays_a_sweep_and_damages_nothing(workers_on):
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed; the test needs it to make the disk look full")
    workers = workers_on("sqlite", 24)
    worker = workers.start("prlimit", "--fsize=2000000")
    workers.wait_until(lambda: "trying again" in workers.output(worker))
    line = next(line for line in workers.output(worker).splitlines() if "trying again" in line)
    assert line.startswith("storage sqlite:///")
    assert any(word in line for word in ("disk is full", "disk I/O error"))
    workers.send(worker, signal.SIGINT)
    out = workers.output(worker, end_within=60)
    assert worker.returncode == 130
    assert "stopped while the database did not answer" in out
    before = {t.number: t.intermediate_values for t in workers.trials() if t.state.is_finished()}
    workers.start()
    workers.finish()
    check(workers)
    after = {t.number: t.intermediate_values for t in workers.trials()}
    assert before
    assert before == {number: after[number] for number in before}


def test_a_worker_reports_in_one_line_what_another_program_ended_or_deleted(workers_on):
    workers = workers_on("sqlite", 500)
    worker = workers.start()
    workers.wait_until(lambda: finished(workers, 3) and workers.is_training(worker))
    number = tell_a_running_trial(workers, worker)
    workers.wait_until(lambda: finished(workers, 8))
    optuna.delete_study(study_name=STUDY, storage=workers.url)
    out = workers.output(worker, end_within=60)
    assert worker.returncode == 2
    assert f"trial {number} is no longer this worker's: another program ended it" in out
    assert out.splitlines()[-1].startswith("optbench: study 'faults' was deleted or renamed by another program")
    assert "Traceback" not in out


def test_a_sweep_whose_database_is_moved_ends_with_one_line(workers_on, tmp_path):
    workers = workers_on("sqlite", 500)
    worker = workers.start()
    workers.wait_until(lambda: finished(workers, 3))
    file = Path(workers.url.removeprefix("sqlite:///"))
    file.rename(tmp_path / "moved.db")
    out = workers.output(worker, end_within=60)
    assert worker.returncode == 2
    assert "was moved, deleted or replaced while it was in use" in out.splitlines()[-1]
    assert "Traceback" not in out
    assert not file.exists()


def tell_a_running_trial(workers, worker):
    """Tell Optuna a value for the worker's newest running trial and return its number.

    The worker is frozen meanwhile: Optuna reads a trial's state and writes it apart, so that it would end a trial that
    the worker ended in between, and nothing would be lost.
    """
    number = max(freeze_at_work(workers, worker))
    optuna.load_study(study_name=STUDY, storage=workers.url).tell(number, 0.5)
    workers.send(worker, signal.SIGCONT)
    return number


def freeze_at_work(workers, worker):
    """Freeze a worker while trials of its own are running, and return their numbers."""
    while True:
        freeze(workers, worker)
        running = [t for t in workers.trials() if t.state == TrialState.RUNNING and worker_pid(t) == worker.pid]
        if running:
            return [trial.number for trial in running]
        workers.send(worker, signal.SIGCONT)
        time.sleep(0.05)


def freeze(workers, worker):
    """Freeze a worker between two transactions. Frozen within one it would keep SQLite's lock.

    Each look is short, because the worker may be frozen within one, and other workers' heartbeats wait meanwhile.
    """
    path = workers.url.removeprefix("sqlite:///")
    while True:
        workers.send(worker, signal.SIGSTOP)
        with closing(sqlite3.connect(path, timeout=0.3, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                workers.send(worker, signal.SIGCONT)
                time.sleep(0.05)
            else:
                other.execute("ROLLBACK")
                return


def finished(workers, count):
    return sum(t.state.is_finished() for t in workers.trials()) >= count


def live_workers(workers):
    storage = open_storage(workers.url)
    try:
        return find_study(storage, STUDY).workers
    finally:
        storage.close()
