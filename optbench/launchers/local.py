"""Starts workers as processes on this machine, each on its own cores. They share nothing but the database."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from optbench.cores import cores
from optbench.exits import STOPPED, ExitCode
from optbench.launchers import Status
from optbench.worker.session import Options
from optbench.worker.stop import OWNER, Stop, StopRequest

PREFIX = "optbench: "  # the beginning of every problem that a worker prints; log lines begin with a time


class LocalProcess:
    """A worker process on `cores` (empty: any). It ends when this process ends, and writes its output to a file.

    `program` is the module that runs: a worker of one study, or of the pool.
    """

    def __init__(
        self, url: str, arguments: list[str], cores: set[int], output: Path, program: str = "optbench.worker"
    ) -> None:
        self.url, self.arguments, self.cores, self.output = url, arguments, cores, output
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it in a separate session, so that Ctrl-C reaches it only through this process."""
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program, *self.arguments],
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
        """Whether it has been started and has ended."""
        if self.process is None:
            return Status.CREATED
        return Status.RUNNING if self.process.poll() is None else Status.ENDED

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal to the worker, unless it has ended."""
        if self.process is not None and self.status is Status.RUNNING:
            self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, after waiting for its end; negative if a signal killed it."""
        return 0 if self.process is None else self.process.wait()

    def logs(self) -> str:
        """What the worker has printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class LocalWorkers:
    """Worker processes that train one study together. They end with the `with` block."""

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
        """The problems of the workers, one line each, after starting them and waiting until all have ended.

        Meanwhile it calls `look` and passes stop requests on. A worker that was stopped has no problem.
        """
        for number, assigned in enumerate(divide_cores(self.count), start=1):
            output = Path(self.folder.name) / f"worker-{number}.log"
            process = LocalProcess(self.url, self._arguments(stop), assigned, output)
            self.processes.append(process)
            process.start()
        passed_on: StopRequest | None = None
        while any(process.status is Status.RUNNING for process in self.processes):
            if stop.signal is not None and (request := stop()) is not passed_on:
                passed_on = request
                for process in self.processes:
                    process.stop(signal.SIGINT if request is StopRequest.DRAIN else signal.SIGTERM)
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
            "code": given.code,
            "timeout": None if stop.deadline is None else max(stop.deadline - time.monotonic(), 0.001),
        }
        words = [f"--{key}={value}" for key, value in options.items() if value is not None]
        flags = {"--allow-code": given.allow_code, "--drain": stop.drain}
        return [*words, *(flag for flag, wanted in flags.items() if wanted), "--", self.study]


def divide_cores(count: int) -> list[set[int]]:
    """The cores of each worker: different ones if there are enough. Empty sets if the system cannot assign cores."""
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(count)]
    usable = sorted(os.sched_getaffinity(0))[: cores()]
    if count > len(usable):
        return [{usable[index % len(usable)]} for index in range(count)]
    return [set(usable[index::count]) for index in range(count)]


def _problems(process: LocalProcess) -> list[str]:
    """The problems of a worker that neither finished nor was stopped."""
    code, output = process.wait(), process.logs().strip().splitlines()
    if code < 0 and process.process is not None:
        died = signal.Signals(-code).name
        return [f"{PREFIX}worker {process.process.pid} was ended by {died}; the others carried on"]
    if code in (ExitCode.OK, *STOPPED):
        return []
    last = f": {output[-1]}" if output else ""
    return [line for line in output if line.startswith(PREFIX)] or [
        f"{PREFIX}a worker ended with exit code {code}{last}"
    ]
