"""How many cores a process may use: bound, by quota of its control group, and by OPTBENCH_CORES."""

import os

import pytest

from optbench import cores
from optbench.errors import DefinitionError
from optbench.launchers.local import divide_cores
from tests.commands import in_process
from tests.conftest import TINY, write_toml


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A tree of control groups, in which this process is in a/b, on a machine with 16 cores."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("5:cpuset:/x\n0::/a/b\n")
    monkeypatch.setattr(cores, "GROUP", own)
    monkeypatch.setattr(cores, "GROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv(cores.VARIABLE, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("quotas", "chosen", "expected"),
    [
        ({}, "", 16),
        ({}, "4", 4),
        ({}, "99", 16),
        ({"a/b": "300000 100000"}, "", 3),
        ({"a/b": "max 100000", "a": "250000 100000"}, "", 2),
        ({"a/b": "50000 100000"}, "", 1),
        ({"a/b": "800000 100000"}, "2", 2),
        ({"a/b": "nonsense"}, "", 16),
    ],
)
def test_the_least_of_all_limits_counts(quotas, chosen, expected, groups, monkeypatch):
    for name, text in quotas.items():
        (groups / name / "cpu.max").write_text(f"{text}\n")
    monkeypatch.setenv(cores.VARIABLE, chosen)
    assert cores.cores() == expected
    assert len(set().union(*divide_cores(2))) == expected


def test_without_control_groups_the_bound_cores_count(groups, monkeypatch):
    monkeypatch.setattr(cores, "GROUP", groups / "missing")
    assert cores.cores() == 16


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_another_number_of_cores_is_refused_before_anything_is_written(text, tmp_path, monkeypatch):
    monkeypatch.setenv(cores.VARIABLE, text)
    with pytest.raises(DefinitionError, match="expected a whole number of cores"):
        cores.cores()
    write_toml(tmp_path / "tiny.toml", TINY)
    refused = in_process("sweep", "tiny.toml", cwd=tmp_path, code=2)
    assert f"OPTBENCH_CORES = '{text}'; expected a whole number of cores, 1 or more" in refused
    assert not (tmp_path / "storage").exists()
