"""Commands in real shells: closed standard streams, broken pipes, full devices, and logs."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.conftest import TINY, write_toml

OPTBENCH = f"{shlex.quote(sys.executable)} -m optbench"
COMMANDS = [
    ("studies", 0),
    ("export search", 0),
    ("report search -o page.html", 0),
    ("docs", 0),
    ("backup copy.db", 0),
    ("delete partial", 2),
    ("dashboard --port 99999", 2),
    ("sweep --trials many x", 2),
]


def shell(command, cwd, **environment):
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, env=os.environ | environment, timeout=300
    )


@pytest.mark.parametrize(("command", "code"), COMMANDS)
def test_a_command_ends_with_its_usual_exit_code_when_every_stream_is_closed(command, code, kept_folder):
    done = shell(f"{OPTBENCH} {command} <&- >&- 2>&-", kept_folder)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_delete_asks_for_yes_on_its_command_line_when_standard_input_is_closed(kept_folder):
    done = shell(f"{OPTBENCH} delete search <&-", kept_folder)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_sweep_trains_when_every_stream_is_closed(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY | {"trials": 2})
    done = shell(f"{OPTBENCH} sweep tiny.toml <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2/2 trials, done" in shell(f"{OPTBENCH} show tiny", tmp_path).stdout


def test_a_broken_pipe_or_a_full_device_causes_no_traceback(kept_folder):
    done = shell(f"{OPTBENCH} show search --json | true; echo ${{PIPESTATUS[0]}}", kept_folder)
    assert (done.stdout, done.stderr) == ("0\n", "")
    done = shell(f"{OPTBENCH} studies > /dev/full", kept_folder)
    assert (done.returncode, done.stderr) == (
        2,
        "optbench: the output cannot be written: no space left on the device\n",
    )


@pytest.mark.parametrize("words", ["--verbose studies", "studies --verbose"])
def test_verbose_may_precede_or_follow_the_command_and_logs_to_standard_error(words, kept_folder):
    done = shell(f"{OPTBENCH} {words}", kept_folder)
    assert " INFO optbench.cli[" in done.stderr
    assert done.stdout == shell(f"{OPTBENCH} studies", kept_folder).stdout


def test_nothing_is_logged_by_default(kept_folder):
    assert shell(f"{OPTBENCH} show search", kept_folder).stderr == ""


def test_optbench_log_sets_level_and_file(kept_folder):
    done = shell(f"{OPTBENCH} show nothing", kept_folder, OPTBENCH_LOG="debug:run.log")
    assert done.stderr.startswith("optbench: no study 'nothing'")
    text = (kept_folder / "run.log").read_text()
    assert "DEBUG optbench.cli[" in text
    assert "StudyError: no study 'nothing'" in text
    refused = shell(f"{OPTBENCH} studies", kept_folder, OPTBENCH_LOG="loud")
    assert (refused.returncode, refused.stderr.splitlines()) == (
        2,
        [
            "optbench: OPTBENCH_LOG=loud; expected debug, info or warning, optionally with a file, "
            "for example debug:run.log"
        ],
    )
