"""Keeps one worker of the pool alive: starts it again, with back-off, when it dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence

from optbench.worker.stop import OWNER, SIGNALS

FIRST, LONGEST = 1.0, 60.0  # seconds before it is started again; twice as many after each death
STEADY = 600.0  # a worker that lived for so many seconds starts with the first wait again
REFUSED = 2  # the exit code of a worker that explained in one line why it cannot work
ENDED = (0, REFUSED, *(128 + number for number in SIGNALS))


class Supervisor:
    """Runs `command` with the environment `environment` until it ends in order.

    `say` gets a line about each death. The worker runs on these `cores` (empty: on any).
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        say: Callable[[str], None],
        cores: Collection[int] = (),
    ) -> None:
        self.command, self.environment, self.say, self.cores = command, environment, say, cores
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> int:
        """See `keep`; passes signals on to the worker meanwhile. For the main thread of a process of its own."""
        heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # not under nohup
        before = {number: signal.signal(number, lambda heard, _: self.stop(heard)) for number in heeded}
        try:
            return self.keep()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def keep(self) -> int:
        """The exit code of the worker once it has ended in order, or was not started again after `stop`."""
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

    def stop(self, number: int) -> None:
        """Pass a signal on to the worker, and do not start it again. Works from any thread."""
        self.stopping = True
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _run_once(self) -> int:
        """The exit code of the worker after starting it once; negative if a signal killed it."""
        environment = os.environ | self.environment | {OWNER: str(os.getpid())}
        self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        if self.cores:
            os.sched_setaffinity(self.process.pid, self.cores)
        if self.stopping:  # the signal came before there was a process
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def _sleep(self, seconds: float) -> bool:
        """Whether nobody asked to stop for so many seconds."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)
        return not self.stopping


def pool_command(options: Sequence[str]) -> list[str]:
    """The command of a worker of the pool with these options."""
    return [sys.executable, "-m", "optbench.worker.pool", *options]
