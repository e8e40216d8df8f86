"""Workers on real clusters, which the tests start themselves on this machine. Nothing leaves the loopback."""

import signal
import subprocess
from contextlib import suppress

import psutil

from optbench.scheduler.states import State, StudyState
from optbench.storage import find_study, studies
from optbench.storage.doctor import examine
from tests.conftest import TINY

LONG = TINY | {"epochs": 20, "pruner": {"name": "none"}}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}


def end(process, number=signal.SIGKILL):
    """End a process and all that it started."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for one in [*top.children(recursive=True), top]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)
    process.wait(30)


def finished(storage, name="tiny"):
    """How many trials of a study have ended; 0 while there is no study."""
    return next((one.finished for one in studies(storage) if one.name == name), 0)


def assert_whole(storage, total):
    """Asserts that the study has exactly its total, that no trial runs, and that the doctor finds nothing."""
    study = find_study(storage, "tiny")
    assert (study.state, study.finished, study.counts[State.RUNNING]) == (StudyState.DONE, total, 0)
    assert examine(storage) == []
