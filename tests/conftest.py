"""What several tests share: TensorFlow's threads set once, a tiny sweep, databases of every kind, where MNIST lies."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from optbench.data import Split
from optbench.definition import parse
from optbench.definition.sweep import Sweep
from optbench.storage import open_storage
from tests.servers import KINDS, missing

ROOT = Path(__file__).parents[1]
MNIST = ROOT.parent / "shared" / "mnist"
TINY: dict[str, Any] = {
    "name": "tiny",
    "optimizer": "adadelta",
    "trials": 6,
    "epochs": 2,
    "batch": 64,
    "data": {"name": "digits", "validation": 300},
    "model": {"hidden": [8]},
    "known": False,
    "finals": False,
    "space": {"learning_rate": {"low": 1e-2, "high": 10.0, "log": True}, "epsilon": [1e-7, 1e-6]},
}
OF_A_SEARCH = ("space", "optimizer", "trials", "known", "finals")
"""The keys that a list of fixed trials cannot have, or need not have."""


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_threads() -> None:
    """Set TensorFlow's threads before it computes anything; tests that do not import it do not wait for it."""
    if "tensorflow" in sys.modules:
        from optbench.training.tensorflow.build import configure

        configure("lanes")


@pytest.fixture(scope="session")
def digits() -> Split:
    from optbench.data import load

    return load("digits", 300, 0)


def lacking(reason):
    """Skip a test for want of a program; fail it where the gate says that everything has to be there."""
    (pytest.fail if os.environ.get("OPTBENCH_TEST_PROGRAMS") == "required" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def chromium():
    """A function that opens a page in a headless browser, with further options, and gives the finished process."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        lacking("no Chromium: apt-get install chromium")
    quiet = [f"--disable-{what}" for what in ("gpu", "quic", "background-networking", "component-update", "sync")]

    def open_page(page, folder, *options):
        profile = folder / f"profile{time.monotonic_ns()}"
        command = [program, "--headless", "--no-sandbox", "--no-first-run", *quiet, "--enable-logging=stderr"]
        command += [f"--user-data-dir={profile}", "--dump-dom", *options, page]
        return subprocess.run(command, capture_output=True, text=True, timeout=180)

    return open_page


@pytest.fixture(scope="session")
def server():
    """A function that gives the running server of a kind, started when it is first wanted."""
    started = {}

    def of(kind):
        if kind not in started:
            if reason := missing(kind):
                lacking(reason)
            started[kind] = KINDS[kind]()
            started[kind].start()
        return started[kind]

    yield of
    for running in started.values():
        running.stop()


@pytest.fixture
def new_url(server, tmp_path):
    """A function that gives the URL of a new, empty database of a kind."""

    def of(kind):
        name = f"t{uuid.uuid4().hex[:12]}"
        return f"sqlite:///{tmp_path}/deep/{name}.db" if kind == "sqlite" else server(kind).url(name)

    return of


@pytest.fixture
def crew_on(new_url, tmp_path):
    """A function that gives a crew on a new database of a kind; its processes are gone after the test."""
    from tests.crew import Crew

    crews = []

    def make(kind, total, *options, light=False):
        crews.append(Crew(tmp_path, new_url(kind), total, *options, light=light))
        return crews[-1]

    yield make
    for crew in crews:
        crew.__exit__()


@pytest.fixture(params=["sqlite", *KINDS])
def url(request, new_url):
    """A new, empty database of every kind: what is tested with it is the contract of all of them."""
    return new_url(request.param)


@pytest.fixture
def storage(url):
    opened = open_storage(url, create=True)
    yield opened
    opened.close()
    opened.close()


@pytest.fixture
def tiny() -> Sweep:
    return parse(TINY, "tiny")


def sweep_of(**changes: Any) -> Sweep:
    """The tiny sweep with other keys; a key set to None is left out, and so are those that a list cannot have."""
    table = {key: value for key, value in (TINY | changes).items() if value is not None}
    if "space" not in table:
        table = {key: value for key, value in table.items() if key in changes or key not in ("known", "finals")}
    return parse(table, "test.toml")


def write_toml(path: Path, table: dict[str, Any]) -> Path:
    import tomli_w

    path.write_text(tomli_w.dumps(table))
    return path
