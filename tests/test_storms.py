"""Workers killed, frozen and stopped at random, with a dashboard and a plain Optuna on the same database meanwhile."""

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

from tests.crew import check, storm

SEED = int(os.environ.get("OPTBENCH_TEST_SEED", 20261125))


@contextmanager
def dashboard(crew):
    """optuna-dashboard polled and written to, and a plain Optuna reading, all the while; yields what went wrong."""
    wrong, over, served = [], threading.Event(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "optbench", "dashboard", "--port", "0"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"OPTBENCH_STORAGE": crew.url, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    address = process.stdout.readline().split()[2]

    def poll():
        plain = optuna.storages.RDBStorage(crew.url)
        while not over.wait(0.3):
            try:
                for study in json.loads(get(f"{address}api/studies"))["study_summaries"]:
                    number = study["study_id"]
                    get(f"{address}api/studies/{number}?after=0")
                    note = json.dumps({"body": f"note {len(served)}", "version": len(served) + 1}).encode()
                    get(urllib.request.Request(f"{address}api/studies/{number}/note", note, method="PUT"))
                    served.append(len(optuna.load_study(study_name="crew", storage=plain).trials))
            except urllib.error.HTTPError as problem:
                wrong.append(f"{problem.url}: {problem.read()[-500:]}")
            except Exception as problem:
                wrong.append(repr(problem))
        plain.remove_session()
        plain.engine.dispose()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield wrong
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


@pytest.mark.parametrize(
    ("kind", "total", "kills"), [("sqlite", 1200, 20), ("postgresql", 300, 6), ("mariadb", 300, 6)]
)
def test_workers_killed_frozen_and_stopped_at_random_lose_and_repeat_nothing(crew_on, kind, total, kills):
    print(f"OPTBENCH_TEST_SEED={SEED}")
    crew = crew_on(kind, total, light=True)
    first = crew.start()
    crew.wait(lambda: crew.training(first))
    with dashboard(crew) as wrong:
        done = storm(crew, 3, kills, SEED)
    assert wrong == []
    assert done["killed"] >= kills
    print(done, check(crew))


def test_killed_sweeps_are_carried_on_to_their_exact_total(crew_on):
    print(f"OPTBENCH_TEST_SEED={SEED}")
    crew = crew_on("sqlite", 40)
    print(storm(crew, 2, 3, SEED), check(crew))
