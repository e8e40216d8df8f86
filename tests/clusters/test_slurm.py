"""Workers as jobs of a real Slurm with two nodes on this machine: lost nodes, time limits, Ctrl-C, the contract."""

import os
import signal

import psutil
import pytest

from optbench.choices import ScriptKind
from optbench.launchers.scripts import Script
from optbench.launchers.slurm import SlurmJobs
from optbench.scheduler.states import State
from optbench.storage import find_study, studies, trials
from optbench.storage.doctor import examine
from optbench.storage.pool import pool_workers
from optbench.testing.launchers import LauncherContract, until
from tests.clusters import LONG, assert_whole, finished
from tests.clusters.slurm import Slurm
from tests.commands import in_process
from tests.conftest import skip_without_program, write_toml
from tests.light import environment


@pytest.fixture(scope="module")
def cluster():
    if reason := Slurm.missing():
        skip_without_program(reason)
    running = Slurm()
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def sweep(cluster, command, tmp_path):
    """A function that starts `optbench sweep --on slurm` on a study of so many trials. The end cancels its jobs."""

    def start(trials, *options):
        file = write_toml(tmp_path / "tiny.toml", LONG | {"trials": trials})
        return command("sweep", str(file), "--on=slurm", "--heartbeat-timeout=5", *options)

    yield start
    cluster.ask("scancel", "--user=root")
    until(lambda: not jobs(cluster), 60)


def jobs(cluster):
    """The states of the jobs that have not ended."""
    return cluster.ask("squeue", "--noheader", "--array", "--format=%T").split()


def test_a_sweep_is_trained_by_jobs_and_shown_from_the_database(cluster, sweep, storage, tmp_path):
    process = sweep(40, "--workers=2", "--slurm=--time=10 --comment='a b'")
    until(lambda: finished(storage), 60)
    words = [word for one in psutil.process_iter(["cmdline"]) for word in one.info["cmdline"] or []]
    assert [word for word in words if storage.url.password in word] == []
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert ": 2 workers\n" in output
    assert "[40/40] trial" in output
    assert "study tiny: 40/40 trials, done" in output
    assert_whole(storage, 40)
    until(lambda: not jobs(cluster), 60)  # the workers end by themselves
    assert pool_workers(storage) == []
    assert len(list(tmp_path.glob("optbench-tiny-*.log"))) == 2


def test_a_killed_worker_starts_again_and_a_lost_nodes_job_runs_elsewhere(cluster, sweep, storage):
    process = sweep(300, "--workers=2")
    until(lambda: len(pool_workers(storage)) == 2 and finished(storage), 60)
    os.kill(pool_workers(storage)[0].process, signal.SIGKILL)
    before = finished(storage)
    until(lambda: finished(storage) > before + 20, 60)
    (node, *_) = cluster.ask("squeue", "--noheader", "--format=%N").split()
    cluster.kill_node(node)
    until(lambda: "down" in cluster.ask("sinfo", "--noheader", "--format=%T"), 90)
    output, _ = process.communicate(timeout=400)
    cluster.start_node(node)
    assert process.returncode == 0, output
    assert_whole(storage, 300)


def test_ctrl_c_leaves_the_jobs_which_end_in_order_when_they_are_cancelled(cluster, sweep, storage):
    process = sweep(4000, "--workers=2")
    until(lambda: finished(storage), 60)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the jobs go on; `scancel " in output
    before = finished(storage)
    until(lambda: finished(storage) > before, 60)
    follower = sweep(4000, "--workers=0")
    assert any("] trial" in line for line in follower.stdout)
    number = cluster.ask("squeue", "--noheader", "--format=%F").split()[0]
    cluster.ask("scancel", number)
    until(lambda: not jobs(cluster), 60)
    follower.send_signal(signal.SIGINT)
    follower.communicate(timeout=60)
    study = find_study(storage, "tiny")
    assert study.counts[State.RUNNING] == 0
    assert pool_workers(storage) == []
    assert examine(storage) == []
    process = sweep(study.finished + 20, "--workers=1")
    process.communicate(timeout=120)
    assert_whole(storage, study.finished + 20)


def test_a_sweep_whose_jobs_are_cancelled_is_left_undone(cluster, sweep, storage):
    process = sweep(4000, "--workers=1")
    until(lambda: finished(storage), 60)
    cluster.ask("scancel", cluster.ask("squeue", "--noheader", "--format=%F").split()[0])
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "its workers have ended; the same command carries on" in output
    assert find_study(storage, "tiny").counts[State.RUNNING] == 0


def test_a_time_limit_that_leaves_no_time_is_said_and_no_job_is_queued_again(cluster, sweep, storage):
    process = sweep(40, "--workers=1", "--slurm=--time=2")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "optbench: the time limit is too short: a worker has to end 120 s before it" in output
    assert jobs(cluster) == []


def test_before_its_time_limit_a_job_ends_in_order_and_is_queued_again(cluster, sweep, storage):
    """Slurm sends USR1 before the limit; here scancel does, because limits are whole minutes."""
    process = sweep(200, "--workers=1")
    until(lambda: finished(storage), 60)
    (first,) = [one.name for one in pool_workers(storage)]
    number = cluster.ask("squeue", "--noheader", "--format=%F").split()[0]
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    until(lambda: jobs(cluster) == ["PENDING"], 60)
    assert find_study(storage, "tiny").counts[State.RUNNING] == 0
    assert find_study(storage, "tiny").counts[State.INTERRUPTED] == 0  # they had time to finish
    assert process.poll() is None
    until(lambda: [one.name for one in pool_workers(storage)] not in ([], [first]), 200)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert_whole(storage, 200)


def test_data_that_is_not_there_is_named_with_the_machine(command, sweep, storage, url, tmp_path):
    (tmp_path / "x.csv").write_text("a,b,y\n" + "1,2,0\n2,1,1\n" * 50)
    data = {"file": str(tmp_path / "x.csv"), "target": "y", "validation": 0.2, "test": 0.2}
    file = write_toml(tmp_path / "own.toml", LONG | {"name": "own", "data": data})
    in_process("submit", file, "--storage", url, "--label", "sweep own")
    (tmp_path / "x.csv").unlink()
    process = command("sweep", str(file), "--on=slurm", "--workers=1")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert f"optbench: {os.uname().nodename}-" in output
    assert "there is no file" in output
    assert trials(storage, find_study(storage, "own").study_id) == []


def test_jobs_that_slurm_refuses_leave_no_study(sweep, storage):
    process = sweep(4, "--workers=1", "--slurm=--partition=nowhere")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "Invalid partition name" in output
    assert studies(storage) == []


class TestSlurmJobs(LauncherContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, cluster, new_url, tmp_path, monkeypatch):
        self.new_url = new_url
        monkeypatch.chdir(tmp_path)
        for name, value in (environment() | cluster.environment).items():
            monkeypatch.setenv(name, value)

    def new(self):
        return self.new_url("postgresql")

    def make(self, url, options):
        script = Script(kind=ScriptKind.SLURM, options=options, environment_file="/dev/null", name="contract")
        return SlurmJobs(script, url)
