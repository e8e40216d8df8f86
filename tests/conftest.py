"""Shared fixtures: a tiny sweep, databases of every kind, worker processes, a browser, TensorFlow's threads."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compile some hundred programs and hardly run them. Without LLVM's optimizations XLA compiles five times as fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

# A shell starts what runs in the background without Ctrl-C, and processes that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from sqlalchemy import event

from optbench.data import Split
from optbench.definition import parse
from optbench.definition.data import DataSource
from optbench.definition.sweep import Sweep
from optbench.storage import open_storage
from optbench.storage.upgrade import upgrade
from tests.servers import KINDS, missing

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "tests" / "data" / "schema3"
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
LONGEST = ("test_storms", "test_slurm", "test_trainers", "test_cli", "test_faults", "test_ray", "test_streams")
OF_A_SEARCH = ("space", "optimizer", "trials", "known", "finals")
"""The keys that a list of fixed trials cannot have, or need not have."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that no process of pytest-xdist is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_threads() -> None:
    """Set TensorFlow's threads before its first operation. Does nothing where no test imports TensorFlow."""
    if "tensorflow" in sys.modules:
        from optbench.training.tensorflow.build import configure

        configure("lanes")


@pytest.fixture(scope="session")
def digits() -> Split:
    from optbench.data import load

    return load(DataSource("digits", 300), 0)


def skip_without_program(reason):
    """Skip a test because a program is missing, or fail it if OPTBENCH_TEST_PROGRAMS says "required"."""
    (pytest.fail if os.environ.get("OPTBENCH_TEST_PROGRAMS") == "required" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def chromium():
    """A function that opens a page in a headless browser and returns the finished process."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        skip_without_program("no Chromium: apt-get install chromium")
    quiet = [f"--disable-{what}" for what in ("gpu", "quic", "background-networking", "component-update", "sync")]

    def open_page(page, folder, *options):
        profile = folder / f"profile{time.monotonic_ns()}"
        command = [program, "--headless", "--no-sandbox", "--no-first-run", *quiet, "--enable-logging=stderr"]
        command += [f"--user-data-dir={profile}", "--dump-dom", *options, page]
        return subprocess.run(command, capture_output=True, text=True, timeout=180)

    return open_page


@pytest.fixture(scope="session")
def server():
    """A function that returns the server of a kind, which it starts on the first call."""
    started = {}

    def of(kind):
        if kind not in started:
            if reason := missing(kind):
                skip_without_program(reason)
            started[kind] = KINDS[kind]()
            started[kind].start()
        return started[kind]

    yield of
    for running in started.values():
        running.stop()


@pytest.fixture
def new_url(server, tmp_path):
    """A function that returns the URL of a new, empty database of a kind."""

    def of(kind):
        name = f"t{uuid.uuid4().hex[:12]}"
        return f"sqlite:///{tmp_path}/deep/{name}.db" if kind == "sqlite" else server(kind).url(name)

    return of


@pytest.fixture
def workers_on(new_url, tmp_path):
    """A function that returns workers on a new database of a kind. The end of the test kills those that still run."""
    from tests.workers import Workers

    made = []

    def make(kind, total, *options, light=True):
        made.append(Workers(tmp_path, new_url(kind), total, *options, light=light))
        return made[-1]

    yield make
    for workers in made:
        workers.__exit__()


@pytest.fixture(params=["sqlite", *KINDS])
def url(request, new_url):
    """The URL of a new, empty database. Tests that use it run once for every kind of database."""
    return new_url(request.param)


@pytest.fixture
def storage(url):
    opened = open_storage(url, create=True)
    yield opened
    opened.close()
    opened.close()


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory):
    """A folder whose storage/optbench.db is an upgraded copy of the database of schema 3."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "storage").mkdir()
    shutil.copy(KEPT / "optbench.db", folder / "storage" / "optbench.db")
    upgrade(f"sqlite:///{folder}/storage/optbench.db")
    return folder


@pytest.fixture(scope="module")
def comparison_url(tmp_path_factory):
    """The URL of a database with a whole comparison. The tests of a module share it."""
    from tests.filled import comparison_database

    return comparison_database(tmp_path_factory.mktemp("comparison"))


@contextmanager
def statements(storage):
    """A list that receives the SQL statements that are executed within `with`."""
    sent = []

    def append(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(storage.engine, "before_cursor_execute", append)
    yield sent
    event.remove(storage.engine, "before_cursor_execute", append)


@contextmanager
def opened_copy(file, folder):
    """The storage of a copy of an SQLite file, which a test may change."""
    shutil.copy(file, folder / "x.db")
    with closing(open_storage(f"sqlite:///{folder}/x.db")) as storage:
        yield storage


@pytest.fixture
def tiny() -> Sweep:
    return parse(TINY, "tiny")


def sweep_of(**changes: Any) -> Sweep:
    """The tiny sweep with some keys changed. None leaves a key out; without a space, the keys of a search go too."""
    table = {key: value for key, value in (TINY | changes).items() if value is not None}
    if "space" not in table:
        table = {key: value for key, value in table.items() if key in changes or key not in ("known", "finals")}
    return parse(table, "test.toml")


def train(sweep: Path | dict[str, Any], url: str, **options: Any) -> None:
    """Train a sweep in this process, where TensorFlow is loaded once for all tests; a process of its own takes 10 s."""
    import optbench

    optbench.run(sweep, url, progress=False, **options)


def write_toml(path: Path, table: dict[str, Any]) -> Path:
    import tomli_w

    path.write_text(tomli_w.dumps(table))
    return path
