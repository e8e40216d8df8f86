"""Studies that crash their workers, by exceptions or because their processes are killed, and those behind them."""

import signal
import sys
from datetime import timedelta

import pytest

from optbench.launchers import supervisor
from optbench.launchers.supervisor import Supervisor
from optbench.scheduler.states import State, StudyState, Wish
from optbench.storage import find_study, trials
from optbench.storage.event_log import EventKind, note, recent_events
from optbench.storage.liveness import clock
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import Submission, find_place, places
from optbench.storage.steering import steer
from optbench.storage.worker_names import name_of
from optbench.worker import pool
from optbench.worker.crashes import Crashes
from optbench.worker.pool import Pooled
from optbench.worker.session import Options, Session
from optbench.worker.stop import PREDECESSORS, SERIES
from optbench.worker.submission import submit
from tests.conftest import sweep_of
from tests.filled import fill
from tests.light import FakeTrainer


@pytest.fixture
def url(new_url):
    return new_url("sqlite")


class Crashing(FakeTrainer):
    """Crashes as long as it trains the first hyperparameters that it was ever given, or (`always`) any."""

    def __init__(self, first, always):
        super().__init__()
        self.first, self.always = first, always

    def assign(self, lane, job):
        self.first.append(job.hparams)
        super().assign(lane, job)

    def train(self):
        if self.always or any(job.hparams == self.first[0] for job in self.assigned.values()):
            raise ValueError("shapes\n(2, 3)")
        return super().train()


@pytest.fixture
def crash(monkeypatch):
    """A function that says where the study 'bad' crashes: building, training, first hyperparameters, or nowhere."""

    def choose(where):
        first = []

        def build(*_):
            if where == "building":
                raise ValueError("shapes\n(2, 3)")
            return FakeTrainer() if where == "nowhere" else Crashing(first, where == "training")

        class Faked(Session):
            def __init__(self, storage, name, options):
                super().__init__(storage, name, options, build=build if name == "bad" else lambda *_: FakeTrainer())

        monkeypatch.setattr(pool, "Session", Faked)

    return choose


def put(storage, name, **asked):
    return submit(storage, sweep_of(), name, Submission(owner="ada", **asked)).study


def work(storage):
    """Let one worker train until nothing in the queue needs it."""
    Pooled(PoolWorker(storage, label=None, gpu=False, cores=1), Options(linger=False), 0).run(lambda: None)


def texts(storage, kind):
    return [one.text for one in recent_events(storage) if one.kind is kind]


@pytest.mark.parametrize("where", ["building", "training"])
def test_a_study_that_crashes_every_worker_is_left_alone_and_those_behind_it_are_trained(storage, crash, where):
    bad = put(storage, "bad", priority=1)
    put(storage, "good")
    crash(where)
    work(storage)
    why = "it crashed a worker 4 times in a row, the last time with ValueError: shapes (2, 3)"
    assert texts(storage, EventKind.CRASHED) == [why]
    assert find_study(storage, "good").state is StudyState.DONE
    found = trials(storage, bad.study_id)
    assert {one.state for one in found} == ({State.FAILED} if where == "training" else set())
    assert find_place(storage, bad.study_id).problem is None, "another machine may be able to"
    work(storage)
    work(storage)
    assert find_place(storage, bad.study_id).problem == f"3 workers left it; {why}"
    assert len(texts(storage, EventKind.FAILED)) == 1


def test_a_study_that_crashed_a_worker_is_tried_again_by_the_same_once_it_is_resumed(storage, crash, monkeypatch):
    bad = put(storage, "bad")
    crash("training")
    worker = Pooled(PoolWorker(storage, label=None, gpu=False, cores=1), Options(linger=False), 0)
    worker.run(lambda: None)
    crash("nowhere")
    worker_again = Pooled(worker.worker, Options(linger=False), 0)
    worker_again.taker, worker_again.crashes = worker.taker, worker.crashes
    worker_again.run(lambda: None)
    assert find_study(storage, "bad").finished == 0
    later = find_place(storage, bad.study_id).asked.replace(year=2100)
    monkeypatch.setattr("optbench.storage.steering.clock", lambda session: later)
    steer(storage, bad.study_id, by="ada", wish=Wish.RUN)
    worker_again.run(lambda: None)
    assert find_study(storage, "bad").state is StudyState.DONE


def test_a_search_leaves_hyperparameters_behind_that_crash_workers(storage, crash):
    put(storage, "bad")
    crash("first hyperparameters")
    work(storage)
    study = find_study(storage, "bad")
    assert (study.state, places(storage)) == (StudyState.DONE, [])
    assert study.counts[State.FAILED] >= 3
    assert texts(storage, EventKind.CRASHED) == []


@pytest.mark.parametrize(("killed", "left"), [(3, False), (4, True)])
def test_a_study_whose_processes_are_killed_again_and_again_is_left_to_others(
    storage, crash, monkeypatch, killed, left
):
    bad = put(storage, "bad", priority=1)
    put(storage, "good")
    crash("nowhere")

    processes, others, lost = range(1, killed + 1), (41, 42, 43), (1, 41, 42)

    def take(session):
        note(session, EventKind.WORKER_LOST, "frozen, and idle then", worker=name_of(2, "0"))
        for process in (*processes, *others):
            note(session, EventKind.TAKEN, "", study="bad", worker=name_of(process, "0"))
        note(session, EventKind.TAKEN, "", study="good", worker=name_of(41, "0"))
        for process in lost:
            study = {1: "bad", 41: "good", 42: None}[process]
            note(session, EventKind.WORKER_LOST, "", study=study, worker=name_of(process, "0"))

    storage.write(take)
    with monkeypatch.context() as patched:
        patched.setattr("optbench.storage.worker_names.os.getpid", lambda: 43)
        PoolWorker(storage, label=None, gpu=False, cores=1, series="0").heartbeat()  # idle when it was killed
    monkeypatch.setenv(PREDECESSORS, " ".join(map(str, (*processes, *others))))
    monkeypatch.setenv(SERIES, "0")
    work(storage)
    assert find_study(storage, "good").state is StudyState.DONE
    assert (find_study(storage, "bad").state is StudyState.DONE) != left
    why = "its processes were killed 4 times in a row while they trained it"
    assert texts(storage, EventKind.CRASHED) == [why] * left
    assert find_place(storage, bad.study_id) is None or left


@pytest.mark.parametrize(("later", "row"), [(0, 3), (60, 5)])
def test_a_process_that_finished_a_trial_of_the_study_before_it_was_killed_ends_the_row(
    storage, crash, monkeypatch, later, row
):
    """Unless an older process with the same id did so, `later` seconds before this one took the study."""
    bad = put(storage, "bad")
    crash("nowhere")
    now = storage.read(clock)
    monkeypatch.setattr("optbench.storage.event_log.clock", lambda session: now + timedelta(seconds=later))

    def take(session):
        for process in range(1, 6):
            note(session, EventKind.TAKEN, "", study="bad", worker=name_of(process, "0"))

    storage.write(take)
    with monkeypatch.context() as patched:
        patched.setattr("optbench.storage.worker_names.os.getpid", lambda: 2)
        fill(storage, bad, lambda job: 0.5)
    crashes = Crashes(storage, retries=2)
    crashes.predecessors = [name_of(process, "0") for process in range(1, 6)]
    assert crashes.killed(find_place(storage, bad.study_id)) == row


def test_a_supervisor_tells_a_worker_which_processes_before_it_were_killed(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "FIRST", 0.01)
    said = tmp_path / "said"
    code = (
        "import os, signal, sys\n"
        f"said = open({str(said)!r}, 'a+')\n"
        f"print(os.environ[{SERIES!r}], os.getpid(), os.environ[{PREDECESSORS!r}], file=said, flush=True)\n"
        "said.seek(0)\n"
        "if len(said.readlines()) < 3: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    one = Supervisor([sys.executable, "-c", code], {}, lambda line: None)
    assert one.run() == 0
    first, second, third = (line.split() for line in said.read_text().splitlines())
    assert (first[2:], second[2:], third[2:]) == ([], [first[1]], [first[1], second[1]])
    assert {first[0], second[0], third[0]} == {one.series}


def test_a_supervisor_that_waits_before_the_next_start_ends_with_the_number_of_the_signal(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST", 60.0)
    one = Supervisor([sys.executable, "-c", "raise SystemExit(1)"], {}, lambda line: one.stop(signal.SIGINT))
    assert one.keep() == 130


def test_a_worker_that_is_started_again_gets_what_is_left_of_its_lifetime(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "FIRST", 0.3)
    said = tmp_path / "said"
    code = (
        "import sys\n"
        f"said = open({str(said)!r}, 'a+')\n"
        "print(sys.argv[-1], file=said, flush=True)\n"
        "said.seek(0)\n"
        "sys.exit(len(said.readlines()) < 2)\n"
    )
    assert Supervisor([sys.executable, "-c", code, "--lifetime=60"], {}, lambda line: None, lifetime=60).run() == 0
    first, second = (float(line.removeprefix("--lifetime=")) for line in said.read_text().splitlines())
    assert 0 < second < first - 0.3 < 60
