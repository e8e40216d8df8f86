"""`optbench serve` as a process with workers, its end, what it shows in a browser, and its metrics."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from optbench.errors import StorageError
from optbench.scheduler.states import Need, State
from optbench.service.web import health
from optbench.service.web.kept import KEPT_SECONDS, Kept
from optbench.service.web.metrics import metrics
from optbench.service.web.snapshot import Snapshots
from optbench.service.web.tokens import Scope, TokenFile
from optbench.storage import find_study, open_storage
from optbench.storage.event_log import EventKind, recent_events
from optbench.storage.pool import PoolWorker, pool_workers
from optbench.storage.queue import find_place, places
from optbench.storage.steering import set_problem
from tests.commands import in_process
from tests.conftest import ROOT, TINY, skip_without_program, statements, write_toml
from tests.filled import peak, run, search
from tests.light import environment
from tests.service import Client, serving

LONG = {"epochs": 20, "pruner": {"name": "none"}}


@contextmanager
def served(folder, *options, **more):
    """The process of `optbench serve` with light workers, and a client of it."""
    command = [sys.executable, "-u", "-m", "optbench", "serve", "--port", "0", *options]
    held = environment() | {"OPTBENCH_STORAGE": f"sqlite:///{folder}/x.db"}
    with (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, env=held, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, **more
        )
    try:
        line = process.stdout.readline()
        assert line, (folder / "errors.txt").read_text()
        yield process, Client(int(re.search(r":(\d+)/", line)[1]), {None: None})
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_one_command_trains_what_is_submitted_and_ends_in_order(tmp_path, storage):
    with served(tmp_path, "--workers", "2") as (process, client):
        until(lambda: len(pool_workers(storage)) == 2)
        assert client.submit("a", scope=None, **LONG).status == 201
        until(lambda: client.get("/v1/sweeps/a", scope=None).json["state"] == "done")
        assert client.get("/v1/sweeps/a", scope=None).json["trials"]["complete"] == 6
        affinity = [os.sched_getaffinity(one.process) for one in pool_workers(storage)]
        if os.cpu_count() > 1:
            assert not affinity[0] & affinity[1]
        os.kill(pool_workers(storage)[0].process, signal.SIGKILL)
        until(lambda: "it starts again in 1 s" in (tmp_path / "errors.txt").read_text())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, out
    assert len([one for one in pool_workers(storage) if one.alive]) <= 1  # the one that was killed
    assert "Traceback" not in out + (tmp_path / "errors.txt").read_text()


def test_while_workers_finish_their_trials_the_pages_stay_and_it_is_not_ready(tmp_path, storage):
    with served(tmp_path) as (process, client):
        client.submit("long", scope=None, **LONG | {"epochs": 300, "trials": 40})
        until(lambda: find_study(storage, "long").epochs)
        process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/readyz", scope=None).status == 503)
        assert client.get("/readyz", scope=None).json["error"] == "the server is stopping"
        assert b"The server is stopping" in client.get("/", scope=None).body
        assert client.get("/healthz", scope=None).status == 200
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert pool_workers(storage) == []
    assert {str(state) for state, count in find_study(storage, "long").counts.items() if count} == {"complete"}


def test_workers_end_when_the_server_is_killed(tmp_path, storage):
    with served(tmp_path) as (process, _):
        until(lambda: pool_workers(storage))
        process.kill()
    until(lambda: pool_workers(storage) == [])


def test_a_read_only_server_has_no_workers_and_writes_nothing(tmp_path, storage):
    with served(tmp_path, "--read-only") as (process, client):
        assert client.submit("a", scope=None).error == "this server is read-only"
        assert b"read-only" in client.get("/", scope=None).body
        process.terminate()
        process.communicate(timeout=30)
    assert (places(storage), recent_events(storage)) == ([], [])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--workers", "-1"), "--workers -1; expected a whole number from 0 to 64"),
        (("--workers", "65"), "--workers 65; expected"),
        (("--workers", "1", "--read-only"), "workers write; leave one of them out"),
        (("--host", "0.0.0.0"), "expected --tokens FILE or --no-auth"),
        (("--tokens", "none.json"), "`optbench token add NAME --tokens FILE` makes such a file"),
        (("--tokens", "none.json", "--no-auth"), "leave one of them out"),
        (("--sweeps", "nowhere"), "--sweeps nowhere is not a folder"),
        (("--host", "no.such.host.invalid", "--no-auth"), "cannot listen on no.such.host.invalid"),
        (("--storage", "x.txt/y.db"), "x.txt"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, line):
    (tmp_path / "x.txt").write_text("")
    assert line in in_process("serve", "--port", 0, *options, cwd=tmp_path, code=2)


def test_serve_loads_no_tensorflow(tmp_path):
    code = (
        "import sys; from optbench.service.web import server\n"
        "print([name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server with a filled search, studies in several states, and a worker."""
    with serving(tmp_path_factory.mktemp("busy"), tokens=False) as client:
        storage = client.service.storage
        run(storage, search(trials=12), "adadelta", peak)
        for name, more in (("team/first", {}), ("<script>alert(1)</script>", {}), ("n" * 120, {"label": "lab"})):
            client.post(
                "/v1/sweeps", {"definition": {**search(trials=4).definition()}, "study": name, **more}, scope=None
            )
        client.patch("/v1/sweeps/team/first", {"wish": "pause"}, scope=None)
        place = find_place(storage, find_study(storage, "n" * 120).study_id)
        set_problem(storage, place, "batch = 1201, but there are 1200 examples", "w")
        worker = PoolWorker(storage, label=None, gpu=False, cores=2)
        worker.heartbeat()
        yield client


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_in_a_browser_without_errors(busy, chromium, tmp_path, width):
    page = f"http://127.0.0.1:{busy.port}/"
    run_ = chromium(page, tmp_path, f"--window-size={width},1200", "--virtual-time-budget=7000")
    best = f"{100 * find_study(busy.service.storage, 'adadelta').best:.2f} %"
    assert run_.returncode == 0
    for text in ("team/first", "paused", "failed", "batch = 1201", "adadelta", best, "Newest", "Drain", "lab"):
        assert text in run_.stdout, text
    assert "<script>alert" not in run_.stdout
    assert "&lt;script&gt;" in run_.stdout
    problems = [line for line in run_.stderr.splitlines() if "CONSOLE" in line]
    assert problems == []


def test_the_page_loads_nothing_from_elsewhere(busy):
    reply = busy.get("/", scope=None)
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert re.findall(r'(?:src|href|action)="(?!/)[^"]*"', reply.body.decode()) == []
    for asset in ("/page.css", "/page.js"):
        text = busy.get(asset, scope=None).body.decode()
        assert "http" not in text.replace("https://", "http://")
    assert "progress" in busy.get("/page.css", scope=None).body.decode()


def samples(reply):
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_metrics_say_what_prometheus_needs(busy):
    found = samples(busy.get("/metrics", scope=None))
    study = find_study(busy.service.storage, "adadelta")
    for state, count in study.counts.items():
        assert found["optbench_trials", ("state", str(state)), ("study", "adadelta")] == count
    assert found["optbench_epochs_total", ("study", "adadelta")] == study.epochs
    assert found["optbench_best_value", ("study", "adadelta")] == study.best
    assert ("optbench_best_value", ("study", "team/first")) not in found
    assert found["optbench_workers", ("state", "idle")] == 1
    assert found["optbench_workers", ("state", "lost")] == 0
    assert found["optbench_queue_length",] == 3
    assert found["optbench_queue_studies", ("state", "waiting")] == 1
    assert found["optbench_queue_studies", ("state", "failed")] == 1
    assert 0 <= found["optbench_queue_oldest_waiting_seconds",] < 300
    assert 0 < found["optbench_database_read_seconds",] < 30


def test_metrics_count_the_trials_that_are_trained_again(busy):
    snapshot = busy.service.snapshots.get()
    study = next(one for one in snapshot.studies if one.name == "adadelta")
    lost = {State.INTERRUPTED: 2, State.FAILED: 3}
    disturbed = replace(snapshot, studies=[replace(study, counts={**study.counts, **lost})])
    text = metrics(disturbed).decode()
    assert 'optbench_retries{study="adadelta"} 5.0' in text
    assert 'optbench_retries{study="adadelta"} 0.0' in metrics(snapshot).decode()
    assert "# TYPE optbench_retries gauge" in text, "it falls if a worker that seemed dead comes back"


def test_metrics_of_an_empty_database(tmp_path):
    with serving(tmp_path) as client:
        found = samples(client.get("/metrics"))
        assert found["optbench_queue_length",] == found["optbench_queue_oldest_waiting_seconds",] == 0
        assert b"Nothing runs or waits" in client.get("/", scope=Scope.READ).body


def test_the_database_is_read_once_in_a_few_seconds_however_many_ask(busy):
    now = [100.0]
    snapshots = Snapshots(busy.service.storage, lambda: now[0])
    first = snapshots.get()
    with statements(busy.service.storage) as sent:
        assert snapshots.get() is first
        assert sent == []
        now[0] += KEPT_SECONDS
        second = snapshots.get()
        assert second is not first
        assert len(sent) < 60
    snapshots.forget()
    assert snapshots.get() is not second


def test_a_database_that_fails_is_asked_once_in_a_few_seconds_too():
    now, asked = [100.0], []

    def fail():
        asked.append(now[0])
        time.sleep(0.2)
        now[0] += 60.0  # that the database took
        raise StorageError("storage x: no connection", passing=True)

    kept = Kept(fail, lambda: now[0])

    def ask(_):
        with pytest.raises(StorageError, match="no connection") as caught:
            kept.get()
        return caught.value.passing

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [True] * 8
    assert asked == [100.0]
    now[0] += KEPT_SECONDS
    ask(0)
    assert len(asked) == 2


def test_a_thread_does_not_wait_for_ever_for_one_that_reads():
    answered, begun = threading.Event(), threading.Event()

    def slow():
        begun.set()
        return answered.wait(10)

    kept = Kept(slow, patience=0.05)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(kept.get)
        begun.wait(10)
        with pytest.raises(StorageError, match="has not answered yet"):
            kept.get()
        answered.set()
        assert first.result() is True


def test_what_is_changed_during_a_read_is_read_again():
    found = ["before", "after"]

    def read():
        value = found.pop(0)
        if value == "before":
            kept.forget()  # another thread changes something
        return value

    kept = Kept(read)
    assert [kept.get(), kept.get(), kept.get()] == ["before", "after", "after"]


def test_health_never_asks_the_database_and_readiness_does_rarely(busy, monkeypatch):
    def refuse(*_):
        raise StorageError("storage x: nobody may ask it", passing=True)

    assert busy.get("/readyz", scope=None).json == {"ready": True}
    monkeypatch.setattr(health, "look", refuse)
    with statements(busy.service.storage) as sent:
        assert busy.get("/healthz", scope=None).json == {"alive": True}
    assert sent == []
    assert busy.get("/readyz", scope=None).status == 200, "the answer is kept"
    busy.service.readiness.forget()
    assert busy.get("/readyz", scope=None).status == 503, "this test can fail"
    monkeypatch.undo()
    busy.service.readiness.forget()


def test_a_page_of_hundreds_of_studies_lists_the_newest(tmp_path):
    with serving(tmp_path) as client:
        definition = search(trials=4).definition()
        for number in range(53):
            client.post("/v1/sweeps", {"definition": definition, "study": f"s{number}", "needs": str(Need.GPU)})
        page = client.get("/").body.decode()
    assert "and 3 older ones" in page


def test_tokens_of_a_running_server_can_be_added(tmp_path, storage):
    secret = TokenFile(tmp_path / "t.json").add("ada", Scope.ADMIN)
    with served(tmp_path, "--workers", "0", "--tokens", "t.json") as (process, client):
        assert client.get("/v1/sweeps", scope=None, secret=secret).json == []
        later = TokenFile(tmp_path / "t.json").add("bob", Scope.READ)
        assert client.get("/v1/sweeps", scope=None, secret=later).json == []
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not any(one in out + (tmp_path / "errors.txt").read_text() for one in (secret, later))


def test_the_pages_commands(tmp_path, storage):
    if shutil.which("curl") is None:
        skip_without_program("no curl: apt-get install curl")
    page = (ROOT / "optbench" / "docs" / "service.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) == 9
    write_toml(tmp_path / "sweep.toml", TINY)
    with served(tmp_path, "--workers", "0") as (_, client):
        for line in lines:
            here = line.replace(":8080/", f":{client.port}/").replace("curl ", "curl -sS --fail-with-body ", 1)
            done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, line + done.stdout + done.stderr
    kinds = [str(event.kind) for event in recent_events(storage, "team/first")]
    assert kinds == ["submitted", "paused", "priority", "resumed"]


def test_the_server_notices_that_the_last_worker_is_lost(tmp_path, storage):
    PoolWorker(storage, label=None, gpu=False, cores=1, heartbeat_timeout=6).heartbeat()
    with served(tmp_path, "--workers", "0"):
        until(lambda: not pool_workers(storage))
    assert recent_events(storage)[-1].kind is EventKind.WORKER_LOST
