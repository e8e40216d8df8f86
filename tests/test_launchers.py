"""The contract of launchers for local processes, what engines on other machines refuse, and their options."""

import sys
from types import SimpleNamespace

import pytest

from optbench.choices import Engine, ScriptKind
from optbench.errors import DefinitionError, StudyError
from optbench.launchers import Status
from optbench.launchers.cluster import Driver, Placement, label_of
from optbench.launchers.engines import EngineError, check_shared
from optbench.launchers.local import LocalProcess
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.requests import Request
from optbench.launchers.scripts import Script, render
from optbench.launchers.slurm import check_slurm, split_slurm
from optbench.storage.queue import Submission, find_place
from optbench.testing.launchers import LauncherContract
from optbench.worker.creation import create_study
from optbench.worker.pool import has_gpu
from optbench.worker.screens import Silent
from optbench.worker.stop import Stop
from optbench.worker.submission import submit
from tests.commands import in_process
from tests.conftest import TINY, sweep_of, write_toml
from tests.light import environment

SERVER = ("--storage", "postgresql+psycopg://u:p@127.0.0.1:1/x")


class TestLocalProcess(LauncherContract):
    @pytest.fixture(autouse=True)
    def _light(self, tmp_path, monkeypatch):
        self.folder, self.made = tmp_path, 0
        monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])

    def new(self):
        return f"sqlite:///{self.folder}/x.db"

    def make(self, url, options):
        self.made += 1
        output = self.folder / f"{self.made}.log"
        return LocalProcess(url, options.words(), set(), output, program="optbench.worker.pool")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sweep", "tiny.toml", "--on", "slurm"), "--on slurm: sqlite:///storage/optbench.db is an SQLite file, which"),
        (("sweep", "tiny.toml", "--on", "ray"), "--on ray: sqlite:///storage/optbench.db is an SQLite file, which"),
        (("worker", "--on", "ray"), "--on ray: sqlite:///storage/optbench.db is an SQLite file, which"),
        (("worker", "--on", "slurm"), "`optbench launch-script slurm | sbatch` starts workers"),
        (("worker", "--workers", 2), "--workers is for --on ray"),
        (("worker", "--on", "ray", "--cores", 2), "--worker-cpus says what each one on the cluster gets"),
        (("sweep", "tiny.toml", "--worker-gpus", 1), "--worker-gpus is for --on ray or --on slurm"),
        (("sweep", "tiny.toml", "--on", "ray", "--slurm", "--time=1", *SERVER), "--slurm is for --on slurm"),
        (("sweep", "tiny.toml", "--on", "slurm", "--slurm", "time=1", *SERVER), "--slurm: 'time=1'; expected options"),
        (("sweep", "tiny.toml", "--on", "ray", "--workers", 1001, *SERVER), "--workers 1001; expected"),
        (("sweep", "tiny.toml", "--on", "ray", "--trainer", "reference", *SERVER), "--trainer reference is not for"),
        (("sweep", "tiny.toml", "--on", "dask"), "--on dask; expected"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(words, message, tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY)
    assert message in in_process(*words, cwd=tmp_path, code=2)
    assert not (tmp_path / "storage").exists()


def test_a_server_is_shared_and_a_file_is_not():
    check_shared("postgresql+psycopg://u:p@h/x", "--on ray")
    with pytest.raises(DefinitionError, match="processes on several machines would damage"):
        check_shared("results.db", "--on ray")


def test_without_the_engine_a_line_says_what_to_type(tmp_path, monkeypatch):
    from optbench.launchers import slurm

    monkeypatch.setattr(slurm.shutil, "which", lambda _: None)
    with pytest.raises(EngineError, match="there is no sbatch on this machine"):
        slurm._ask("sbatch")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    from optbench.launchers.ray_cluster import connect

    with pytest.raises(EngineError, match="pip install 'optbench\\[ray\\]'"):
        connect()


@pytest.mark.parametrize("words", [("sweep", "tiny.toml"), ("worker",)])
def test_a_ray_cluster_that_does_not_answer_is_refused_before_the_database_is_asked(words, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    write_toml(tmp_path / "tiny.toml", TINY)
    for address, why, code in ("127.0.0.1:1", "Connection refused", 3), ("127.0.0.1:99999", "Port out of range", 2):
        monkeypatch.setenv("RAY_ADDRESS", address)
        said = in_process(*words, "--on", "ray", *SERVER, cwd=tmp_path, code=code)
        assert said.startswith("optbench: --on ray: no Ray cluster answers (")
        assert why in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("up", "refusal", "code", "message"),
    [
        ("DOWN", "", 3, "--on slurm: slurmctld does not answer"),
        ("UP", "allocation failure: Invalid partition name specified", 2, "sbatch: allocation failure: Invalid part"),
        ("UP", "allocation failure: Requested node configuration is not available", 3, "127.0.0.1:1/x"),
    ],
)
def test_slurm_is_asked_before_the_database(up, refusal, code, message, tmp_path, monkeypatch):
    for name, body in {
        "scontrol": f"echo 'Slurmctld(primary) at x is {up}'",
        "sbatch": f"echo '{refusal}' >&2",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\ncat > /dev/null\n{body}\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write_toml(tmp_path / "tiny.toml", TINY)
    assert message in in_process("sweep", "tiny.toml", "--on", "slurm", *SERVER, cwd=tmp_path, code=code)


def test_a_study_that_waits_for_other_workers_keeps_them(storage, url, monkeypatch):
    """A cluster's driver gives a study a label of its own, so it must not take one that waits with another."""
    monkeypatch.setattr("optbench.launchers.cluster.check_shared", lambda *_: None)
    place = submit(storage, sweep_of(), "x", Submission(owner="ada", label="night")).place

    def driven(workers, name="x"):
        cluster = SimpleNamespace(
            count=workers, stays=True, check=lambda: None, workers=lambda _: [], started=str, left=str
        )
        request = Request(sweep=sweep_of(), study=name, storage=url)
        return Driver(request=request, cluster=cluster, lifetime=None, stop=Stop(timeout=0), screen=Silent()).execute()

    with pytest.raises(StudyError, match="'x' is in the queue for workers with the label 'night'; start one of these"):
        driven(1)
    assert not driven(0).done
    assert find_place(storage, place.study_id) == place
    create_study(storage, sweep_of(), "by hand", {})
    with pytest.raises(StudyError, match="study 'by hand' is not in the queue; --workers 1 or more puts it there"):
        driven(0, "by hand")


def test_options_of_sbatch_that_the_script_decides_are_refused():
    assert split_slurm("--time=1:00 --comment='a b'") == ["--time=1:00", "--comment=a b"]
    check_slurm(["--time=1:00"])
    with pytest.raises(DefinitionError, match="--export=NONE: the workers' script decides this"):
        check_slurm(["--export=NONE"])
    with pytest.raises(DefinitionError, match="No closing quotation"):
        split_slurm("--comment='a")


def test_a_long_name_makes_a_label_that_the_database_holds():
    assert label_of("x") == "sweep x"
    long = [label_of("y" * 120 + end) for end in "ab"]
    assert len({*long}) == 2
    assert max(map(len, long)) <= 100


@pytest.mark.parametrize(
    ("study", "name"),
    [("日本", "optbench"), ("Team/First_1", "optbench-team-first-1"), ("y" * 39 + "-/z", f"optbench-{'y' * 39}")],
)
def test_the_jobs_have_a_name_that_slurm_takes_whatever_the_studys_name_is(study, name):
    cluster = Placement(engine=Engine.SLURM, workers=1).cluster(SERVER[1], study)
    assert f"#SBATCH --job-name={name}\n" in render(cluster.script)


def test_a_squeue_that_fails_for_a_moment_ends_nothing(monkeypatch):
    from optbench.launchers import slurm

    now, answers = [0.0], ["7", "RUNNING", None, None, "", None]

    def ask(*_, **__):
        answer = answers.pop(0)
        if answer is None:
            raise EngineError("squeue: slurm_load_jobs error: Socket timed out on send/recv operation")
        return answer

    monkeypatch.setattr(slurm, "_ask", ask)
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now[0])
    jobs = slurm.SlurmJobs(Script(kind=ScriptKind.SLURM), SERVER[1])
    jobs.start()
    found = []
    for now[0] in (10.0, 20.0, 30.0, 40.0):
        found.append(jobs.status)
    assert found == [Status.RUNNING, Status.RUNNING, Status.RUNNING, Status.ENDED]
    now[0] += slurm.PATIENCE + 1
    with pytest.raises(EngineError, match="Socket timed out"):
        _ = jobs.status


def test_an_actor_keeps_the_workers_output_and_leaves_no_file(tmp_path, monkeypatch):
    from optbench.launchers.ray_actors import WorkerActor

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    actor = WorkerActor(PoolOptions(), SERVER[1], cpus=1)
    assert actor.logs() == ""
    actor.supervisor.command = [sys.executable, "-c", "print('first', flush=True); raise SystemExit(2)"]
    assert actor.work() == 2
    actor._say("second")
    actor.supervisor.command[2] = "print('third'); raise SystemExit(0)"
    assert actor.work() == 0
    assert actor.logs() == "first\noptbench: second\nthird\n"
    assert list(tmp_path.iterdir()) == []
    actor.output.close()


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_a_worker_that_got_none_of_the_cards_has_none(hidden, monkeypatch, tmp_path):
    from optbench.worker import pool

    (tmp_path / "card").touch()
    monkeypatch.setattr(pool, "NVIDIA", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert has_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not has_gpu()
