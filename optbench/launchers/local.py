"""Starts workers as processes on this machine, each on its own cores. They meet in the database only."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from optbench.launchers import Status
from optbench.worker.session import Options
from optbench.worker.stop import OWNER, Stop

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


class LocalProcess:
    """A worker process on `cores` (empty: any). It ends when this process does, and its output is kept in a file."""

    def __init__(self, url: str, arguments: list[str], cores: set[int], output: Path) -> None:
        self.url, self.arguments, self.cores, self.output = url, arguments, cores, output
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it in a session of its own, so that Ctrl-C reaches it through this process only."""
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "optbench.worker", *self.arguments],
                env=os.environ | {"OPTBENCH_STORAGE": self.url, OWNER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.cores:
            os.sched_setaffinity(self.process.pid, self.cores)

    @property
    def status(self) -> Status:
        """Whether it runs."""
        if self.process is None:
            return Status.CREATED
        return Status.RUNNING if self.process.poll() is None else Status.ENDED

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Passes the signal on; a worker that has ended ignores it."""
        if self.process is not None and self.status is Status.RUNNING:
            self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code once it has ended; below 0 where a signal killed it."""
        return 0 if self.process is None else self.process.wait()

    def logs(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class LocalWorkers:
    """A number of worker processes that carry one study together. They are ended with the `with` block."""

    def __init__(self, url: str, study: str, options: Options, count: int) -> None:
        self.url, self.study, self.options, self.count = url, study, options, count
        self.processes: list[LocalProcess] = []

    def __enter__(self) -> "LocalWorkers":
        self.folder = tempfile.TemporaryDirectory(prefix="optbench-")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.stop(signal.SIGTERM)
        for process in self.processes:
            process.wait()
        self.folder.cleanup()

    def run(self, stop: Stop, look: Callable[[], None]) -> list[str]:
        """Starts the workers and waits until all have ended; calls `look` meanwhile, and passes signals on.

        Returns what went wrong, a line for each; nothing where every worker got to the end or was stopped.
        """
        for number, cores in enumerate(shares(self.count), start=1):
            output = Path(self.folder.name) / f"worker-{number}.log"
            process = LocalProcess(self.url, self._arguments(stop), cores, output)
            self.processes.append(process)
            process.start()
        while any(process.status is Status.RUNNING for process in self.processes):
            for number in stop.new_signals():
                for process in self.processes:
                    process.stop(number)
            look()
            time.sleep(0.2)
        return list(dict.fromkeys(line for process in self.processes for line in _problems(process)))

    def _arguments(self, stop: Stop) -> list[str]:
        given = self.options
        options = {
            "trainer": given.trainer,
            "lanes": given.lanes,
            "data-dir": None if given.data_dir is None else given.data_dir.absolute(),
            "trials": given.trials,
            "heartbeat-timeout": given.heartbeat_timeout,
            "retries": given.retries,
            "timeout": None if stop.deadline is None else max(stop.deadline - time.monotonic(), 0.001),
        }
        return [*(f"--{key}={value}" for key, value in options.items() if value is not None), "--", self.study]


def shares(count: int) -> list[set[int]]:
    """The cores of each worker: different ones where there are enough, the empty set where that cannot be set."""
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        return [{cores[index % len(cores)]} for index in range(count)]
    return [set(cores[index::count]) for index in range(count)]


def _problems(process: LocalProcess) -> list[str]:
    """What to tell of a worker that ended otherwise than by finishing or being stopped."""
    code, output = process.wait(), process.logs().strip()
    if code < 0 and process.process is not None:
        died = signal.Signals(-code).name
        return [f"optbench: worker {process.process.pid} was ended by {died}; the others carried on"]
    if code in (0, *STOPPED):
        return []
    return output.splitlines() or [f"optbench: a worker ended with exit code {code}"]
