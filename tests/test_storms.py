"""Workers are killed, frozen and stopped at random while a dashboard and plain Optuna use the same database."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import optuna
import pytest

from tests.workers import STUDY, check, disturb

SEED = int(os.environ.get("OPTBENCH_TEST_SEED", 20261125))


@contextmanager
def dashboard(workers):
    """Poll and write to a dashboard and read with plain Optuna, in a thread. Yields the list of problems."""
    problems, over, served = [], threading.Event(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "optbench", "dashboard", "--port", "0"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OPTBENCH_STORAGE": workers.url, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    address = process.stdout.readline().split()[2]

    def poll():
        plain = optuna.storages.RDBStorage(workers.url)
        while not over.wait(1):
            try:
                for study in json.loads(get(f"{address}api/studies"))["study_summaries"]:
                    number = study["study_id"]
                    get(f"{address}api/studies/{number}?after=0")
                    note = json.dumps({"body": f"note {len(served)}", "version": len(served) + 1}).encode()
                    get(urllib.request.Request(f"{address}api/studies/{number}/note", note, method="PUT"))
                    served.append(len(optuna.load_study(study_name=STUDY, storage=plain).trials))
            except urllib.error.HTTPError as problem:
                problems.append(f"{problem.url}: {problem.read()[-500:]}")
            except Exception as problem:
                problems.append(repr(problem))
        plain.remove_session()
        plain.engine.dispose()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield problems
    finally:
        over.set()
        thread.join()
        process.terminate()
        process.communicate()
    assert len(served) > 3


def get(request):
    if isinstance(request, urllib.request.Request):
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


@pytest.mark.parametrize(("kind", "total", "kills"), [("sqlite", 100, 2), ("postgresql", 100, 1), ("mariadb", 100, 1)])
def test_no_slot_is_lost_or_finished_twice_while_workers_are_killed_frozen_and_stopped(workers_on, kind, total, kills):
    print(f"OPTBENCH_TEST_SEED={SEED}")
    workers = workers_on(kind, total)
    first = workers.start()
    workers.wait_until(lambda: workers.is_training(first))
    with dashboard(workers) as problems:
        done = disturb(workers, 3, kills, SEED)
    assert problems == []
    assert done["killed"] >= kills
    print(done, check(workers))


def test_killed_sweeps_resume_and_reach_their_exact_total(workers_on):
    print(f"OPTBENCH_TEST_SEED={SEED}")
    workers = workers_on("sqlite", 4, light=False)
    print(disturb(workers, 1, 1, SEED), check(workers))
