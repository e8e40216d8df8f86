"""Workers as actors of a real Ray cluster with two nodes on this machine: lost workers and nodes, the contract."""

import json
import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from optbench.launchers import Status
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.ray_actors import RayWorker
from optbench.launchers.ray_cluster import connect, disconnect
from optbench.scheduler.states import State
from optbench.storage import find_study
from optbench.storage.pool import pool_workers
from optbench.storage.queue import Submission
from optbench.testing.launchers import LauncherContract, until
from optbench.worker.submission import submit
from tests.clusters import LONG, assert_whole, finished
from tests.clusters.ray import Ray
from tests.conftest import skip_without_program, sweep_of, write_toml
from tests.light import environment


@pytest.fixture(scope="module")
def cluster():
    if reason := Ray.missing():
        skip_without_program(reason)
    running = Ray(environment())
    try:
        running.start()
        yield running
    finally:
        if "ray" in sys.modules:
            disconnect()
        running.stop()


@pytest.fixture
def sweep(command, tmp_path):
    """A function that starts `optbench sweep --on ray` on a study of so many trials."""

    def start(trials, *options):
        file = write_toml(tmp_path / "tiny.toml", LONG | {"trials": trials})
        return command("sweep", str(file), "--on=ray", "--heartbeat-timeout=5", *options)

    return start


def assert_over(storage, total):
    """Asserts that the study is whole and that its workers have ended."""
    assert_whole(storage, total)
    assert pool_workers(storage) == []


def actors():
    """The processes of actors that hold a worker."""
    found = psutil.process_iter(["cmdline"])  # None for one that has ended
    return [one for one in found if "ray::WorkerActor" in " ".join((one.info["cmdline"] or [])[:1])]


def test_a_sweep_is_trained_by_actors_and_shown_from_the_database(sweep, storage, cluster):
    process = sweep(60, "--workers=3")
    until(lambda: finished(storage), 60)
    words = [word for one in psutil.process_iter(["cmdline"]) for word in one.info["cmdline"] or []]
    assert [word for word in words if storage.url.password in word] == []
    assert {one.cores for one in pool_workers(storage)} == {1}
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Ray has 3 workers\n" in output
    assert "[60/60] trial" in output
    assert "study tiny: 60/60 trials, done" in output
    assert "WorkerActor" not in output  # none of Ray's own lines
    assert_over(storage, 60)
    logs = subprocess.run(["grep", "-rl", "s3cret", cluster.folder], capture_output=True, text=True)
    assert logs.stdout == ""


def test_killed_workers_actors_and_nodes_cost_no_trial(sweep, storage, cluster):
    process = sweep(300, "--workers=2")
    until(lambda: len(pool_workers(storage)) == 2 and finished(storage), 60)
    os.kill(pool_workers(storage)[0].process, signal.SIGKILL)
    before = finished(storage)
    until(lambda: finished(storage) > before + 20, 60)
    actors()[0].kill()
    before = finished(storage)
    until(lambda: finished(storage) > before + 20, 60)
    cluster.kill_node("second")
    output, _ = process.communicate(timeout=200)
    cluster.start_node("second")
    assert process.returncode == 0, output
    assert "raylet" not in output  # Ray's own lines, of the actor and the node
    assert_over(storage, 300)


def test_workers_of_a_lost_node_for_which_there_is_no_room_elsewhere_hold_nothing_up(sweep, storage, cluster):
    process = sweep(200, "--workers=4", "--json")
    until(lambda: len(pool_workers(storage)) == 4 and finished(storage), 60)
    cluster.kill_node("second")
    output, _ = process.communicate(timeout=200)
    cluster.start_node("second")
    until(lambda: actors() == [], 30)
    assert process.returncode == 0, output
    (study,) = json.loads(output[output.index("[\n") :])
    assert study["total"] == 200
    assert_over(storage, 200)


def test_ctrl_c_does_not_wait_for_the_workers_of_a_lost_node_without_room_elsewhere(sweep, storage, cluster):
    process = sweep(4000, "--workers=4")
    until(lambda: len(pool_workers(storage)) == 4 and finished(storage), 60)
    cluster.kill_node("second")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    cluster.start_node("second")
    until(lambda: actors() == [], 30)
    assert process.returncode == 130, output


def test_ctrl_c_ends_the_workers_in_order_and_the_same_command_carries_on(sweep, storage):
    process = sweep(4000, "--workers=2")
    until(lambda: len(pool_workers(storage)) == 2 and finished(storage), 60)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "stopped; the same command carries on" in output
    study = find_study(storage, "tiny")
    assert study.counts[State.RUNNING] == 0
    assert pool_workers(storage) == []
    process = sweep(study.finished + 20, "--workers=1")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert_over(storage, study.finished + 20)


def test_a_pool_on_the_cluster_takes_studies_until_ctrl_c(command, storage):
    process = command("worker", "--on=ray", "--workers=2", "--worker-cpus=2")
    until(lambda: len(pool_workers(storage)) == 2, 60)
    assert {one.cores for one in pool_workers(storage)} == {2}
    submit(storage, sweep_of(**LONG), "tiny", Submission(owner="ada"))
    until(lambda: finished(storage) == 6, 60)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert_over(storage, 6)


def test_what_the_cluster_has_no_room_for_is_said(sweep, storage):
    process = sweep(6, "--workers=1", "--worker-cpus=3")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no machine of the Ray cluster has 3 cores" in output
    process = sweep(6, "--workers=5")
    output, _ = process.communicate(timeout=60)
    assert "Ray has 5 workers; the cluster has room for 4, and the others start once it has more" in output
    assert_over(storage, 6)


class TestRayWorker(LauncherContract):
    @pytest.fixture(autouse=True)
    def _connected(self, cluster, new_url, monkeypatch):
        self.new_url = new_url
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        connect()

    def new(self):
        return self.new_url("postgresql")

    def make(self, url, options):
        return RayWorker(options, url)

    def test_an_actor_that_was_started_again_after_it_was_to_stop_ends(self):
        storage = self.opened()
        worker = self.make(storage.url.render_as_string(hide_password=False), PoolOptions(heartbeat_timeout=5))
        self.started(storage, worker)
        worker.stopping = True  # the first life heard of it, and dies before it has ended
        actors()[0].kill()
        until(lambda: worker.status is Status.ENDED, self.seconds)
        until(lambda: actors() == [], 30)
        storage.close()

    def test_why_an_actor_failed_is_told(self):
        worker = self.make(self.new(), None)  # without options it cannot be made
        worker.start()
        until(lambda: worker.status is Status.ENDED, self.seconds)
        assert re.search("^optbench: an actor of Ray failed: .*AttributeError", worker.logs())
