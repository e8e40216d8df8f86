"""Closed standard streams, and what the package logs, from real shells."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.conftest import TINY, write_toml
from tests.test_tables import kept  # noqa: F401  a folder with the kept studies

OPTBENCH = f"{shlex.quote(sys.executable)} -m optbench"
COMMANDS = [
    ("studies", 0),
    ("show search", 0),
    ("show nothing", 2),
    ("export search", 0),
    ("compare search rival", 0),
    ("report search -o page.html", 0),
    ("doctor", 0),
    ("docs", 0),
    ("schema", 0),
    ("backup copy.db", 0),
    ("upgrade --yes", 0),
    ("delete partial", 2),
    ("replay search 99", 2),
    ("dashboard --port 99999", 2),
    ("confirm nothing", 2),
    ("data prepare nothing", 2),
    ("--version", 0),
    ("sweep --trials many x", 2),
]


def shell(command, cwd, **environment):
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, env=os.environ | environment, timeout=300
    )


@pytest.mark.parametrize(("command", "code"), COMMANDS)
def test_a_command_ends_with_its_own_code_where_every_stream_is_closed(command, code, kept):  # noqa: F811
    done = shell(f"{OPTBENCH} {command} <&- >&- 2>&-", kept)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_delete_asks_nobody_where_standard_input_is_closed(kept):  # noqa: F811
    done = shell(f"{OPTBENCH} delete search <&-", kept)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_sweep_trains_where_streams_are_closed(closed, tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY | {"trials": 2})
    done = shell(f"{OPTBENCH} sweep tiny.toml {closed}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2/2 trials, done" in shell(f"{OPTBENCH} show tiny", tmp_path).stdout


def test_a_reader_that_goes_away_and_a_full_device_end_no_command_with_a_traceback(kept):  # noqa: F811
    done = shell(f"{OPTBENCH} show search --json | true; echo ${{PIPESTATUS[0]}}", kept)
    assert (done.stdout, done.stderr) == ("0\n", "")
    done = shell(f"{OPTBENCH} studies > /dev/full", kept)
    assert (done.returncode, done.stderr) == (
        2,
        "optbench: the output cannot be written: no space left on the device\n",
    )


@pytest.mark.parametrize("words", ["--verbose studies", "studies --verbose"])
def test_verbose_logs_to_standard_error_before_and_after_the_command(words, kept):  # noqa: F811
    done = shell(f"{OPTBENCH} {words}", kept)
    assert " INFO optbench.cli[" in done.stderr
    assert done.stdout == shell(f"{OPTBENCH} studies", kept).stdout


def test_nothing_is_logged_unless_asked_for(kept):  # noqa: F811
    assert shell(f"{OPTBENCH} show search", kept).stderr == ""


def test_the_variable_chooses_level_and_file(kept):  # noqa: F811
    done = shell(f"{OPTBENCH} show nothing", kept, OPTBENCH_LOG="debug:run.log")
    assert done.stderr.startswith("optbench: no study 'nothing'")
    text = (kept / "run.log").read_text()
    assert "DEBUG optbench.cli[" in text
    assert "StudyError: no study 'nothing'" in text
    told = shell(f"{OPTBENCH} studies", kept, OPTBENCH_LOG="loud")
    assert (told.returncode, told.stderr.splitlines()) == (
        2,
        [
            "optbench: OPTBENCH_LOG=loud; expected debug, info or warning, optionally with a file, "
            "for example debug:run.log"
        ],
    )
