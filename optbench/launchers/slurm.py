"""Starts workers of the pool as a Slurm job array. The jobs go on when this process ends."""

import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.choices import ScriptKind
from optbench.defaults import STORAGE_VARIABLE
from optbench.errors import DefinitionError, counted
from optbench.launchers import Status, WorkerProcess
from optbench.launchers.engines import EngineError
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.scripts import Script, render

LOOK = 5.0  # seconds between calls of squeue, because slurmctld is shared
PATIENCE = 600.0  # seconds for which squeue may fail, for example while slurmctld restarts
LATER = re.compile("not available|busy")  # what `--test-only` refuses because of the moment; sbatch queues such jobs
BEGINNING = ("PENDING", "REQUEUED", "CONFIGURING", "SUSPENDED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESIZING")

log = logging.getLogger(__name__)


class SlurmJobs:
    """The job array of a script. `job` is its number once it was started."""

    def __init__(self, script: Script, url: str) -> None:
        if script.kind is not ScriptKind.SLURM:
            raise DefinitionError(f"a script for {script.kind} starts no jobs of Slurm")
        self.script, self.url = script, url
        self.job: str | None = None
        self.looked, self.states = -LOOK, list[str]()
        self.answered = 0.0  # when squeue last answered

    def start(self) -> None:
        """Submits the jobs. The URL goes through their environment, which only the user and Slurm can read."""
        self.job = re.split(r"[;\s]", _ask("sbatch", "--parsable", text=render(self.script), url=self.url))[0]
        self.states, self.answered = ["PENDING"], time.monotonic()

    @property
    def status(self) -> Status:
        """WAITING until one of the jobs runs, and again while all of them are in the queue of Slurm.

        Raises EngineError if squeue has failed for longer than PATIENCE.
        """
        if self.job is None:
            return Status.CREATED
        if time.monotonic() - self.looked >= LOOK:
            self._look()
        if not self.states:
            return Status.ENDED
        return Status.WAITING if all(state in BEGINNING for state in self.states) else Status.RUNNING

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Cancels jobs that wait, and sends the signal to the others: each of them shuts its worker down cleanly."""
        if self.job is None:
            return
        self._look()
        if self.states:
            self.looked = -LOOK
            _ask("scancel", "--state=PENDING", self.job)
            _ask("scancel", "--batch", f"--signal={signal.Signals(number).name.removeprefix('SIG')}", self.job)

    def logs(self) -> str:
        """What the workers have printed so far, as far as this machine sees their files."""
        files = sorted(Path.cwd().glob(f"{self.script.name}-{self.job}-*.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def _look(self) -> None:
        """Ask for the states of the jobs; if squeue fails, keep those of its last answer for a while."""
        self.looked = time.monotonic()
        try:
            self.states, self.answered = self._ask_states(), self.looked
        except EngineError as problem:
            if self.looked - self.answered > PATIENCE:
                raise
            log.warning("%s; the jobs are taken to be as they were", problem)

    def _ask_states(self) -> list[str]:
        """The states of the jobs that have not ended."""
        words = ("squeue", "--noheader", "--array", "--format=%T", f"--jobs={self.job}")
        try:
            return _ask(*words).split()
        except EngineError as problem:
            if "Invalid job id" in str(problem):  # it ended some minutes ago
                return []
            raise


@dataclass(frozen=True, kw_only=True)
class SlurmCluster:
    """Slurm, and how many workers it is to start: each is a job of the script's array."""

    script: Script
    url: str
    count: int
    stays: bool = True

    def check(self) -> None:
        """Asks slurmctld whether it would take the jobs. No question where no worker is wanted."""
        if not self.count:
            return
        if " is UP" not in _run("scontrol", "ping").stdout:  # sbatch would try for 9 seconds
            why = "slurmctld does not answer; `scontrol ping` says which machine it asks"
            raise EngineError(f"--on slurm: {why}", passing=True)
        try:
            _ask("sbatch", "--test-only", text=render(self.script))
        except EngineError as problem:
            if not LATER.search(str(problem)):
                raise

    def workers(self, options: PoolOptions) -> list[WorkerProcess]:
        """The job array; nothing if no worker is wanted."""
        return [SlurmJobs(replace(self.script, options=options), self.url)] if self.count else []

    def started(self, workers: list[WorkerProcess]) -> str:
        jobs = ", ".join(job_numbers(workers))
        return f"Slurm has job {jobs}: {counted(self.count, 'worker')}" if jobs else "no worker was started"

    def left(self, workers: list[WorkerProcess]) -> str:
        jobs = " ".join(job_numbers(workers))
        return f"the jobs go on; `scancel {jobs}` cancels them, and the same command with `--workers 0` shows the study"

    def close(self) -> None:
        """Nothing is to be closed: the jobs are Slurm's."""


def job_numbers(workers: list[WorkerProcess]) -> list[str]:
    """The numbers of those that were started."""
    return [one.job for one in workers if isinstance(one, SlurmJobs) and one.job]


def _ask(program: str, *words: str, text: str = "", url: str | None = None) -> str:
    """What a program of Slurm answers. Raises EngineError if it refuses."""
    done = _run(program, *words, text=text, url=url)
    if done.returncode:
        raise EngineError(f"{program}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout.strip()


def _run(program: str, *words: str, text: str = "", url: str | None = None) -> subprocess.CompletedProcess[str]:
    """What a program of Slurm did, also if it refused. Raises EngineError if it is not there."""
    if shutil.which(program) is None:
        raise EngineError(f"there is no {program} on this machine; type this on a machine with Slurm")
    environment = dict(os.environ) if url is None else os.environ | {STORAGE_VARIABLE: url}
    return subprocess.run([program, *words], input=text, capture_output=True, text=True, env=environment)


def check_slurm(options: Sequence[str]) -> None:
    """Raises DefinitionError for options of sbatch that would break the workers' script."""
    for option in options:
        name = option.partition("=")[0]
        if name in ("--array", "-a", "--wrap", "--signal", "--output", "-o", "--no-requeue", "--export"):
            raise DefinitionError(f"--slurm: {option}: the workers' script decides this; leave it out")


def split_slurm(given: str | None) -> list[str]:
    """The options of sbatch, one a word. Raises DefinitionError for words that are none."""
    try:
        words = shlex.split(given or "")
    except ValueError as problem:
        raise DefinitionError(f"--slurm {given!r}: {problem}; expected options of sbatch") from problem
    for word in words:
        if not word.startswith("-"):
            raise DefinitionError(f"--slurm: {word!r}; expected options with =, for example --partition=long")
    return words
