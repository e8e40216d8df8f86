"""Keeps one worker of the pool alive: starts it again, with back-off, when it dies."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import IO

from optbench.exits import FINAL, after_signal
from optbench.launchers.systemd import VARIABLES, Systemd
from optbench.worker.stop import OWNER, PREDECESSORS, SERIES, SIGNALS

FIRST, LONGEST = 1.0, 60.0  # seconds before it is started again; twice as many after each death
STEADY = 600.0  # a worker that lived for so many seconds starts with the first wait again
ONCE = 1.0  # the same signal within so many seconds is one request: batch systems signal a whole tree of processes


class Supervisor:
    """Runs `command` with the environment `environment` until it has shut down cleanly.

    `say` gets a line about each death. The worker runs on these `cores` (empty: on any), and writes its output to the
    open file `output`, if there is one. It is told which processes before it were killed, in case a study does that,
    and what is left of its `lifetime`, in seconds from now on, if it has one.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        say: Callable[[str], None],
        cores: Collection[int] = (),
        output: IO[bytes] | None = None,
        lifetime: float | None = None,
    ) -> None:
        self.command, self.environment, self.say = command, environment, say
        self.cores, self.output = cores, output
        self.deadline = None if lifetime is None else time.monotonic() + lifetime
        self.series = uuid.uuid4().hex[:8]
        self.process: subprocess.Popen[bytes] | None = None
        self.killed: list[int] = []  # the processes that did not live long, in a row, each killed by a signal
        self.stopping = False
        self.heard = int(signal.SIGTERM)  # the last signal of those that asked it to stop
        self.passed_on: dict[int, float] = {}  # when each signal was last passed on
        self.systemd = Systemd()

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
        """The exit code of the worker once it has shut down cleanly, or was not started again after `stop`."""
        wait = FIRST
        while True:
            began = time.monotonic()
            code = self._run_once()
            if code in FINAL or self.stopping:
                return code if code >= 0 else after_signal(-code)
            if time.monotonic() - began >= STEADY:
                wait, self.killed = FIRST, []
            elif code < 0 and self.process is not None:
                self.killed.append(self.process.pid)
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            self.say(f"the worker {how}; it starts again in {wait:g} s")
            if not self._sleep(wait):
                return after_signal(self.heard)
            wait = min(2 * wait, LONGEST)

    def stop(self, number: int) -> None:
        """Pass a signal on to the worker, and do not start it again. Works from any thread."""
        if not self.stopping:
            self.systemd.stopping()
        self.stopping, self.heard = True, number
        now = time.monotonic()
        if now - self.passed_on.get(number, -ONCE) < ONCE:
            return
        if self.process is not None and self.process.poll() is None:
            self.passed_on[number] = now
            self.process.send_signal(number)

    def _run_once(self) -> int:
        """The exit code of the worker after starting it once; negative if a signal killed it."""
        known = {OWNER: str(os.getpid()), SERIES: self.series, PREDECESSORS: " ".join(map(str, self.killed))}
        environment = os.environ | self.environment | known
        environment = {name: value for name, value in environment.items() if name not in VARIABLES}
        left = [] if self.deadline is None else [f"--lifetime={max(self.deadline - time.monotonic(), 0):.3f}"]
        self.process = subprocess.Popen(
            [*self.command, *left],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=None if self.output is None else subprocess.STDOUT,
            start_new_session=True,
        )
        if self.cores:
            os.sched_setaffinity(self.process.pid, self.cores)
        if self.stopping:  # the signal came before there was a process
            self.process.send_signal(signal.SIGTERM)
        self.systemd.ready()
        while True:
            self.systemd.alive()
            try:
                return self.process.wait(self.systemd.every)
            except subprocess.TimeoutExpired:
                continue

    def _sleep(self, seconds: float) -> bool:
        """Whether nobody asked to stop for so many seconds."""
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            self.systemd.alive()
            time.sleep(0.1)
        return not self.stopping


def pool_command(options: Sequence[str]) -> list[str]:
    """The command of a worker of the pool with these options."""
    return [sys.executable, "-m", "optbench.worker.pool", *options]
