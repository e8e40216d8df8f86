"""Ctrl-C before anything listens for it: remembered where Python drops it, and quiet from the first import on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from optbench.worker import stop
from optbench.worker.stop import Stop, StopRequest, remember_interrupts


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    stop.interrupts.clear()


class Dropping:
    """Python prints an exception in a finalizer, and goes on."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_drops_stops_the_next_work():
    remember_interrupts()
    Dropping()
    with Stop() as stopped:
        assert (stopped(), stopped.signal) == (StopRequest.NOW, signal.SIGINT)
    with Stop() as stopped:
        assert stopped() is None, "it was heard once"


def test_with_drain_the_first_signal_lets_running_trials_finish_and_the_second_ends_them():
    with Stop(drain=True) as stopped:
        requests = [stopped()]
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            requests.append(stopped())
        assert requests == [None, StopRequest.DRAIN, StopRequest.NOW]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_with_drain_another_signal_than_ctrl_c_ends_running_trials():
    with Stop(drain=True) as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert (stopped(), stopped.signal) == (StopRequest.NOW, signal.SIGTERM)


def test_a_handler_of_a_program_stays():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    remember_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_ctrl_c_during_the_imports_is_quiet():
    """Half a second before the command line is there, in a process that stops itself."""
    source = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from optbench.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
