"""What several tests share: TensorFlow's threads set once, a tiny sweep, databases of every kind, where MNIST lies."""

import os
import uuid
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from optbench.definition import parse
from optbench.job import Split
from optbench.storage import open_storage
from optbench.sweep import Sweep
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
    "space": {"learning_rate": {"low": 1e-2, "high": 10.0, "log": True}, "epsilon": [1e-7, 1e-6]},
}


@pytest.fixture(scope="session", autouse=True)
def _tensorflow_threads() -> None:
    from optbench.training.build import configure

    configure("lanes")


@pytest.fixture(scope="session")
def digits() -> Split:
    from optbench.training.data import load

    return load("digits", 300, 0)


@pytest.fixture(scope="session")
def server():
    """A function that gives the running server of a kind, started when it is first wanted."""
    started = {}

    def of(kind):
        if kind not in started:
            if reason := missing(kind):
                (pytest.fail if os.environ.get("OPTBENCH_TEST_SERVERS") == "required" else pytest.skip)(reason)
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
    """The tiny sweep with other keys; a key set to None is left out."""
    return parse({key: value for key, value in (TINY | changes).items() if value is not None}, "test.toml")


def write_toml(path: Path, table: dict[str, Any]) -> Path:
    import tomli_w

    path.write_text(tomli_w.dumps(table))
    return path
