"""Keeps one worker of the pool alive: a light process that starts it again, with back-off, when it dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from optbench.worker.stop import OWNER, SIGNALS

FIRST, LONGEST = 1.0, 60.0  # seconds before it is started again; twice as many after each death
STEADY = 600.0  # a worker that lived for so many seconds starts with the first wait again
REFUSED = 2  # the exit code of a worker that explained in one line why it cannot work
ENDED = (0, REFUSED, *(128 + number for number in SIGNALS))


class Supervisor:
    """Runs `command` with the environment `environment` until it ends in order, and passes signals on to it.

    `say` gets a line about each death.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str], say: Callable[[str], None]) -> None:
        self.command, self.environment, self.say = command, environment, say
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> int:
        """The exit code of the worker once it has ended in order, or was not started again after a signal."""
        before = {number: signal.signal(number, self._pass_on) for number in SIGNALS}
        try:
            wait = FIRST
            while True:
                began = time.monotonic()
                code = self._run_once()
                if code in ENDED or self.stopping:
                    return code if code >= 0 else 128 - code
                wait = FIRST if time.monotonic() - began >= STEADY else wait
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                self.say(f"the worker {how}; it starts again in {wait:g} s")
                if not self._sleep(wait):
                    return 128 + signal.SIGTERM
                wait = min(2 * wait, LONGEST)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run_once(self) -> int:
        """The exit code of the worker after starting it once; negative if a signal killed it."""
        environment = os.environ | self.environment | {OWNER: str(os.getpid())}
        self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        if self.stopping:  # the signal came before there was a process
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def _sleep(self, seconds: float) -> bool:
        """Whether nobody asked to stop for so many seconds."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)
        return not self.stopping

    def _pass_on(self, number: int, _: object) -> None:
        self.stopping = True
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def pool_command(options: Sequence[str]) -> list[str]:
    """The command of a worker of the pool with these options."""
    return [sys.executable, "-m", "optbench.worker.pool", *options]
