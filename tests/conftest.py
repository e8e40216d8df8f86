"""What several tests share: TensorFlow's threads set once, a tiny sweep, and where MNIST lies."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from optbench.definition import parse
from optbench.job import Split
from optbench.sweep import Sweep

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
