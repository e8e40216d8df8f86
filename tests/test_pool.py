"""Workers of the pool as real processes with a fake trainer: priorities, pauses, kills, finals, and what cannot run."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from optbench.errors import StorageError
from optbench.scheduler.states import State, StudyState, Wish
from optbench.storage import find_study, open_storage, trials
from optbench.storage.candidates import read_queue
from optbench.storage.doctor import examine
from optbench.storage.event_log import EventKind, recent_events
from optbench.storage.pool import PoolState, PoolWorker, drain, pool_workers
from optbench.storage.queue import Submission, enqueue, find_place, places
from optbench.storage.steering import steer
from optbench.storage.taking import Taker
from optbench.worker.finals import open_finals
from optbench.worker.pool import Pooled
from optbench.worker.session import Options
from optbench.worker.stop import StopRequest
from optbench.worker.submission import submit
from tests.commands import in_process, optbench, run_page
from tests.conftest import ROOT, TINY, sweep_of, write_toml
from tests.filled import fill
from tests.light import environment

LONG = {"epochs": 20, "pruner": {"name": "none"}}  # 0.2 s a trial


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


@contextmanager
def workers(storage, count=1, *options):
    """So many `optbench worker` processes. The end of `with` stops those that still run."""
    command = [sys.executable, "-m", "optbench", "worker", *options]
    held = environment() | {"OPTBENCH_STORAGE": str(storage.url)}
    found = [
        subprocess.Popen(command, env=held, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(count)
    ]
    try:
        yield found
    finally:
        for one in found:
            one.terminate()
        for one in found:
            one.communicate(timeout=60)


def put(storage, name, changes=LONG, **asked):
    return submit(storage, sweep_of(**changes), name, Submission(owner="ada", **asked)).study


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def begun(storage, name):
    return [one for one in trials(storage, find_study(storage, name).study_id) if one.epochs]


def counts(storage, name):
    study = find_study(storage, name)
    return {str(state): count for state, count in study.counts.items() if count}


def kinds(storage, name=None):
    return [str(one.kind) for one in recent_events(storage, name)]


def test_two_workers_empty_the_queue_and_end_when_they_are_idle(storage):
    for name in ("a", "b", "c"):
        put(storage, name)
    with workers(storage, 2, "--exit-when-idle=1") as found:
        outputs = [one.communicate(timeout=120)[0].decode() for one in found]
    assert [one.returncode for one in found] == [0, 0], outputs
    assert places(storage) == []
    assert [counts(storage, name) for name in "abc"] == [{"complete": 6}] * 3
    assert [kinds(storage, name).count("done") for name in "abc"] == [1, 1, 1]
    assert "a is done: 6 trials, best" in "".join(outputs)
    assert all(said.endswith(" ends: nothing in the queue needed it\n") for said in outputs), outputs
    assert pool_workers(storage) == []
    assert examine(storage) == []


def test_what_the_first_worker_finds_of_the_data_completes_the_study(storage):
    put(storage, "a")
    assert find_study(storage, "a").facts is None
    assert "data.sha256" not in find_study(storage, "a").fingerprint
    with workers(storage, 1, "--exit-when-idle=0") as found:
        found[0].communicate(timeout=60)
    study = find_study(storage, "a")
    assert study.facts.shape == (28, 28)
    by_hand = sweep_of(**LONG, name="b")
    held = environment() | {"OPTBENCH_STORAGE": str(storage.url)}
    file = write_toml(storage.path.parent / "b.toml", by_hand.definition())
    subprocess.run([sys.executable, "-m", "optbench", "sweep", str(file)], env=held, check=True, capture_output=True)
    assert find_study(storage, "b").fingerprint == study.fingerprint


def test_a_higher_priority_takes_over_at_the_end_of_a_trial_and_nothing_is_killed(storage):
    put(storage, "long", LONG | {"trials": 60, "epochs": 40})
    with workers(storage):
        until(lambda: begun(storage, "long"))
        put(storage, "urgent", LONG, priority=1)
        until(lambda: find_place(storage, find_study(storage, "urgent").study_id) is None)
        assert find_study(storage, "long").finished < 60
        assert set(counts(storage, "long")) <= {"complete", "running"}
        until(lambda: find_study(storage, "long").counts[State.RUNNING])
    assert kinds(storage, "long")[:3] == ["submitted", "taken", "taken"]


def test_pause_lets_trials_finish_stop_ends_them_and_resume_carries_on(storage):
    study = put(storage, "long", LONG | {"trials": 40, "epochs": 500})
    with workers(storage, 1, "--heartbeat-timeout=5") as (one,):
        until(lambda: begun(storage, "long"))
        steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
        until(lambda: [str(c.state) for c in storage.read(read_queue)] == ["paused"])
        assert set(counts(storage, "long")) == {"complete"}
        steer(storage, study.study_id, by="ada", wish=Wish.RUN)
        until(lambda: find_study(storage, "long").counts[State.RUNNING] == 2)
        steer(storage, study.study_id, by="ada", wish=Wish.STOP)
        until(lambda: [str(c.state) for c in storage.read(read_queue)] == ["stopped"])
        assert counts(storage, "long")["interrupted"] == 2
        assert one.poll() is None


def test_a_worker_that_is_killed_starts_again_and_the_total_stays_exact(storage):
    put(storage, "long", LONG | {"trials": 30, "epochs": 40})
    with workers(storage, 2, "--exit-when-idle=0", "--heartbeat-timeout=5") as found:
        until(lambda: begun(storage, "long"))
        victim = pool_workers(storage)[0]
        os.kill(victim.process, signal.SIGKILL)
        outputs = [one.communicate(timeout=180)[0].decode() for one in found]
    assert [one.returncode for one in found] == [0, 0], outputs
    assert "the worker was ended by SIGKILL; it starts again in 1 s" in "".join(outputs)
    study = find_study(storage, "long")
    assert (study.state, study.finished) == (StudyState.DONE, 30)
    assert examine(storage) == []


def test_a_drained_worker_ends_and_its_supervisor_does_not_start_it_again(storage):
    put(storage, "long", LONG | {"trials": 200})
    with workers(storage) as (one,):
        until(lambda: begun(storage, "long"))
        drain(storage, pool_workers(storage)[0].name, "ada")
        assert [found.state for found in pool_workers(storage)] == [PoolState.DRAINING]
        one.communicate(timeout=60)
        assert one.returncode == 0
    assert set(counts(storage, "long")) == {"complete"}


def test_sigterm_gives_running_trials_the_time_of_the_grace(storage):
    put(storage, "long", LONG | {"trials": 200, "epochs": 100})
    with workers(storage) as (patient,):
        until(lambda: begun(storage, "long"))
        patient.terminate()
        patient.communicate(timeout=60)
        assert patient.returncode == 128 + signal.SIGTERM
    assert set(counts(storage, "long")) == {"complete"}
    put(storage, "longer", LONG | {"trials": 200, "epochs": 10_000}, priority=1)
    with workers(storage, 1, "--grace=0.5") as (hasty,):
        until(lambda: begun(storage, "longer"))
        hasty.terminate()
        hasty.communicate(timeout=60)
    assert counts(storage, "longer") == {"interrupted": 2}


def test_a_search_with_finals_puts_them_into_the_queue(storage):
    put(storage, "search", LONG | {"trials": 12, "finals": {"candidates": 2, "budget": 0.5}}, priority=4)
    with workers(storage, 2, "--exit-when-idle=1") as found:
        for one in found:
            one.communicate(timeout=120)
    search = find_study(storage, "search")
    assert search.finals.done
    assert kinds(storage, "search/finals").count("done") == 1
    (done,) = [one.text for one in recent_events(storage, "search") if one.kind is EventKind.DONE]
    assert done == "12 trials; its finals are 'search/finals'"
    assert places(storage) == []


def test_a_finished_study_leaves_the_queue_even_if_it_is_paused(storage):
    study = put(storage, "tiny", LONG | {"trials": 6})
    fill(storage, find_study(storage, "tiny"), lambda job: 0.5)
    steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
    with workers(storage, 1, "--exit-when-idle=1") as (one,):
        one.communicate(timeout=60)
    assert places(storage) == []


def test_a_study_that_can_never_run_is_marked_with_its_problem_and_one_without_its_data_is_left_to_others(storage):
    put(storage, "large", {"batch": 1201})
    data = {"file": str(storage.path.parent / "x.csv"), "target": "y", "validation": 0.2, "test": 0.2}
    put(storage, "elsewhere", {"data": data})
    with workers(storage, 1, "--exit-when-idle=3") as (one,):
        one.communicate(timeout=60)
    found = {one.place.study: one for one in storage.read(read_queue)}
    assert str(found["large"].state) == "failed"
    assert found["large"].place.problem.startswith("batch = 1201, but digits leaves 1200 training examples")
    assert str(found["elsewhere"].state) == "waiting"
    (declined,) = [one for one in recent_events(storage, "elsewhere") if one.kind is EventKind.DECLINED]
    assert "there is no file" in declined.text
    said = in_process("queue", "--storage", storage.url)
    assert "elsewhere: declined by 1 worker; last reason: there is no file" in said
    assert kinds(storage, "large") == ["submitted", "taken", "failed"]


def test_a_sweep_by_hand_joins_a_submitted_study_and_obeys_a_pause(storage):
    study = put(storage, "tiny", LONG | {"trials": 400})
    file = write_toml(storage.path.parent / "tiny.toml", TINY | LONG | {"trials": 400})
    held = environment() | {"OPTBENCH_STORAGE": str(storage.url)}
    command = [sys.executable, "-m", "optbench", "sweep", str(file), "--heartbeat-timeout=2"]
    with subprocess.Popen(command, env=held, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: begun(storage, "tiny"))
        steer(storage, study.study_id, by="ada", wish=Wish.PAUSE)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the study was paused; `optbench resume tiny` carries on" in output


def test_what_is_asked_while_a_worker_concludes_a_search_holds_for_its_finals(storage):
    """The worker took the search before it got another priority and was paused."""
    put(storage, "search", LONG | {"finals": {"candidates": 2, "budget": 0.5}, "trials": 12})
    worker = PoolWorker(storage, label=None, gpu=False, cores=1)
    worker.heartbeat()
    assert Taker(worker).take().place.priority == 0
    study = find_study(storage, "search")
    fill(storage, study, lambda job: 0.5 + job.number / 100)
    steer(storage, study.study_id, by="ada", wish=Wish.PAUSE, priority=9)
    Pooled(worker, Options())._conclude(find_study(storage, "search"))
    (place,) = places(storage)
    assert (place.study, place.wish, place.priority) == ("search/finals", Wish.PAUSE, 9)


def test_finals_that_are_trained_by_hand_leave_the_queue(storage):
    finals = {"candidates": 2, "budget": 0.5}
    files = {
        name: write_toml(storage.path.parent / f"{name}.toml", TINY | LONG | {"trials": 12, "finals": chosen})
        for name, chosen in (("search", False), ("whole", finals))
    }
    held = environment() | {"OPTBENCH_STORAGE": str(storage.url)}
    command = [sys.executable, "-m", "optbench", "sweep"]
    subprocess.run([*command, str(files["search"])], env=held, check=True, capture_output=True)
    search = find_study(storage, "tiny")
    made = open_finals(storage, search, sweep_of(trials=12, finals=finals).finals, search.digests, search.facts)
    enqueue(storage, made.study_id, Submission(owner="ada"))
    steer(storage, made.study_id, by="ada", wish=Wish.PAUSE)
    paused = subprocess.run([*command, str(files["whole"])], env=held, capture_output=True, text=True)
    assert "the study was paused; " in paused.stdout + paused.stderr
    steer(storage, made.study_id, by="ada", wish=Wish.RUN)
    subprocess.run([*command, str(files["whole"])], env=held, check=True, capture_output=True)
    assert find_study(storage, "tiny").finals.done
    assert places(storage) == []
    assert kinds(storage, made.name) == ["submitted", "paused", "resumed", "done"]


def test_an_error_in_the_thread_of_heartbeats_ends_the_worker(storage, monkeypatch):
    worker = PoolWorker(storage, label=None, gpu=False, cores=1)
    monkeypatch.setattr("optbench.worker.presence.POLL", 0.01)
    monkeypatch.setattr(Taker, "should_leave", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Pooled(worker, Options()).run(lambda: None)
    assert pool_workers(storage) == []


def test_an_idle_worker_that_is_to_end_does_not_wait_for_the_database(storage, monkeypatch):
    asked = []

    def read(work):
        raise StorageError("no route to host", passing=True)

    def stop():
        asked.append(time.monotonic())
        return StopRequest.DRAIN if len(asked) > 5 else None

    monkeypatch.setattr(storage, "_reading", read)
    monkeypatch.setattr("optbench.storage.engine.RETRY_SECONDS", 0.01)
    began = time.monotonic()
    with pytest.raises(StorageError, match="no route"):
        Pooled(PoolWorker(storage, label=None, gpu=False, cores=1), Options(patience=20)).run(stop)
    assert time.monotonic() - began < 10
    monkeypatch.undo()
    assert (len(asked) > 5, pool_workers(storage)) == (True, [])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_commands_that_watch_end_with_the_number_of_the_signal(number, code, tmp_path, monkeypatch):
    write_toml(tmp_path / "tiny.toml", TINY)
    found = []

    def find(storage, study_id):
        os.kill(os.getpid(), number)
        found.append(find_place(storage, study_id))
        return found[-1]

    monkeypatch.setattr("optbench.launchers.follow.find_place", find)
    in_process("submit", "tiny.toml", "--wait", cwd=tmp_path, code=code)
    assert [place.study for place in found] == ["tiny"]
    monkeypatch.setattr("optbench.cli.events.time", SimpleNamespace(sleep=lambda _: os.kill(os.getpid(), number)))
    in_process("log", "--follow", cwd=tmp_path, code=code)


def test_a_study_that_needs_a_card_says_where_its_worker_starts(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY)
    said = in_process("submit", "tiny.toml", "--needs", "gpu", cwd=tmp_path)
    assert said == "study 'tiny' is in the queue; `optbench worker` starts a worker on a machine with a GPU\n"


def test_the_commands_of_the_queue(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY)
    said = in_process("submit", "tiny.toml", "--priority", 2, "--max-workers", 1, "--label", "lab", cwd=tmp_path)
    assert said == "study 'tiny' is in the queue; `optbench worker --label lab` starts a worker\n"
    assert "was already in the queue" in in_process("submit", "tiny.toml", cwd=tmp_path)
    assert "has another definition: seed is 0 there, 1 here" in in_process(
        "submit", "tiny.toml", "--seed", 1, cwd=tmp_path, code=2
    )
    assert "its running trials finish" in in_process("pause", "tiny", cwd=tmp_path)
    (row,) = json.loads(in_process("queue", "--json", cwd=tmp_path))
    assert (row["study"], row["state"], row["wish"], row["priority"]) == ("tiny", "paused", "pause", 2)
    said = in_process("submit", "tiny.toml", "--priority", 3, cwd=tmp_path)
    assert said == "study 'tiny' is in the queue, paused; `optbench resume tiny` carries on\n"
    assert "paused" in in_process("queue", cwd=tmp_path)
    assert json.loads(in_process("stop", "tiny", "--json", cwd=tmp_path)) == {"study": "tiny", "wish": "stop"}
    said = in_process("resume", "tiny", "--workers", 2, cwd=tmp_path, code=2)
    assert "--workers is for training here, but the workers of the queue carry 'tiny' on; leave it out" in said
    assert "back in the queue" in in_process("resume", "tiny", cwd=tmp_path)
    assert "has priority 7" in in_process("priority", "tiny", 7, cwd=tmp_path)
    events = json.loads(in_process("log", "tiny", "--json", cwd=tmp_path))
    assert [one["kind"] for one in events] == [
        "submitted",
        "submitted",
        "paused",
        "submitted",
        "stopped",
        "resumed",
        "priority",
    ]
    assert "priority        tiny: 7 by " in in_process("log", cwd=tmp_path)
    assert json.loads(in_process("workers", "--json", cwd=tmp_path)) == []
    for refused, message in {
        ("pause", "tinny"): "no study 'tinny'",
        ("priority", "tiny", 5000): "--priority 5000; expected a whole number from -1000 to 1000",
        ("submit", "tiny.toml", "--max-workers", 0): "--max-workers 0; expected a whole number from 1 to 10000",
        ("submit", "tiny.toml", "--needs", "tpu"): "--needs tpu; expected",
        ("drain", "nobody"): "no worker 'nobody' in the pool; there is none",
        ("worker", "--cores", 0): "--cores 0; expected a whole number from 1 to 4096",
        ("worker", "--grace", -1): "--grace -1; expected seconds, 0 or more",
        ("log", "--follow", "--json"): "leave one of them out",
        ("resume", "tiny", "--trials", 9): "`optbench submit` changes its total",
    }.items():
        assert message in in_process(*refused, cwd=tmp_path, code=2)


def test_studies_are_listed_by_tag_owner_and_state_and_say_whose_they_are(tmp_path, monkeypatch):
    write_toml(tmp_path / "tiny.toml", TINY)
    for name, owner, tags in (("b", "ada", ["--tag", "x"]), ("a", "bob", ["--tag", "x", "--tag", "y"])):
        monkeypatch.setenv("LOGNAME", owner)
        in_process("submit", "tiny.toml", "--study", name, *tags, "--note", f"{name} is new", cwd=tmp_path)

    def listed(*options):
        return [one["name"] for one in json.loads(in_process("studies", "--json", *options, cwd=tmp_path))]

    assert listed() == ["b", "a"]
    assert listed("--sort", "name") == ["a", "b"]
    assert listed("--tag", "x", "--tag", "y") == ["a"]
    assert listed("--owner", "ada", "--state", "waiting") == ["b"]
    assert listed("--state", "done") == []
    in_process("submit", "tiny.toml", "--study", "b", "--tag", "z", cwd=tmp_path)
    assert "made by ada; #x, #z; b is new" in in_process("show", "b", cwd=tmp_path)
    assert "expected up to 60 characters" in in_process("submit", "tiny.toml", "--tag", "a b", cwd=tmp_path, code=2)
    assert "--state over; expected" in in_process("studies", "--state", "over", cwd=tmp_path, code=2)


def test_submit_waits_for_a_study_and_its_finals(tmp_path):
    search = TINY | LONG | {"trials": 12, "finals": {"candidates": 2, "budget": 0.5}}
    write_toml(tmp_path / "tiny.toml", search)
    (tmp_path / "storage").mkdir()
    storage = open_storage(f"sqlite:///{tmp_path}/storage/optbench.db", create=True)
    with workers(storage):
        waited = optbench("submit", "tiny.toml", "--wait", cwd=tmp_path)
    assert "study 'tiny' is in the queue; `optbench worker` starts a worker" in waited
    assert "[12/12] trial" in waited
    assert find_study(storage, "tiny").finals.done
    storage.close()


def test_the_pages_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    page = (ROOT / "optbench" / "docs" / "queue.md").read_text()
    said = run_page(page, tmp_path)
    assert "first is done" not in said[2]
    rows = {row["study"]: row for row in json.loads(in_process("queue", "--json", cwd=tmp_path))}
    states = {name: (row["state"], row["priority"]) for name, row in rows.items()}
    assert states == {"third": ("stopped", 10), "fourth": ("waiting", 0)}
    assert "fourth" in said[-1]
    assert "first" not in said[-1]
    assert said[4].index("done            second") < said[4].index("done            first")
