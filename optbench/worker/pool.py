"""The program of a worker of the pool: it takes study after study from the queue, and loads TensorFlow once.

`OPTBENCH_STORAGE=URL python -m optbench.worker.pool [options]`; a supervisor starts it (see launchers/supervisor.py).
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from optbench.cores import cores
from optbench.defaults import GRACE, HEARTBEAT_TIMEOUT, RETRIES, storage_url
from optbench.definition.sweep import Finals
from optbench.errors import (
    CrashedError,
    DataError,
    DefinitionError,
    NotPreparedError,
    OptbenchError,
    StorageError,
    StudyError,
)
from optbench.exits import ExitCode, after_signal, code_of
from optbench.logs import set_up
from optbench.scheduler.states import StudyState
from optbench.storage import StudyRecord, open_storage, shown
from optbench.storage.candidates import Candidate
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import Place
from optbench.storage.steering import conclude, set_problem
from optbench.storage.taking import Taker
from optbench.worker.crashes import Crashes
from optbench.worker.finals import open_finals
from optbench.worker.journal import Journal, say
from optbench.worker.patience import Patience
from optbench.worker.presence import POLL, Presence
from optbench.worker.session import Options, Session
from optbench.worker.stop import SERIES, SIGNALS, Stop, StopRequest, strictest, wait

log = logging.getLogger(__name__)
CRASHED = 3  # workers that a study crashed, after which it counts as one that can never run
LONGEST_REASON = 300  # characters of an error that the log repeats; TensorFlow's hold a traceback
LONGEST = 10.0  # seconds between two looks at the queue, once nothing was there for a while
NVIDIA = Path("/proc/driver/nvidia/gpus")

Request = Callable[[], StopRequest | None]


class Pooled:
    """Takes study after study until it is asked to stop, was idle for too long, or reaches the end of its life."""

    def __init__(self, worker: PoolWorker, options: Options, idle_seconds: float | None = None) -> None:
        self.storage, self.worker, self.options, self.idle_seconds = worker.storage, worker, options, idle_seconds
        self.taker = Taker(worker)
        self.crashes = Crashes(self.storage, options.retries)
        self.busy = time.monotonic()  # when a study last needed this worker

    def run(self, stop: Request) -> str:
        """Why it ended, in words. Raises StorageError if the database does not answer within the patience."""
        say(f"worker {self.worker.name} waits for studies in {shown(self.storage.url)}")
        with Presence(self.taker) as presence:
            self.busy, pause = time.monotonic(), POLL
            self.storage.outage = self._idle_patience(stop)
            while stop() is None and not self.worker.draining():
                presence.check()
                presence.leaving = False
                taken = self.taker.take()
                if taken is not None:
                    pause = POLL
                    self._work(taken, lambda: strictest(stop(), presence.request()))
                    self.storage.outage = self._idle_patience(stop)  # instead of the session's
                    self.taker.release()
                    self.busy = time.monotonic()
                elif self._idle_for_too_long():
                    return "nothing in the queue needed it"
                else:
                    wait(stop, pause)
                    pause = min(1.5 * pause, LONGEST)
        return "it was drained" if self.worker.drained else "its lifetime is over"

    def _idle_patience(self, stop: Request) -> Patience:
        """How long to wait for the database while no study trains: no longer than until there is any stop request."""
        return Patience(lambda: StopRequest.NOW if stop() else None, Journal("queue"), self.options.patience)

    def _idle_for_too_long(self) -> bool:
        """Whether the worker is to end, because no study needed it for so long."""
        if self.idle_seconds is None:
            return False
        if not self.taker.idle():
            self.busy = time.monotonic()
        return time.monotonic() - self.busy >= self.idle_seconds

    def _work(self, taken: Candidate, stop: Request) -> None:
        """Train the study's trials, and conclude it if all of them are finished; or say why it cannot run."""
        place = taken.place
        if (killed := self.crashes.killed(place)) > self.crashes.most:
            self._leave_crashing(place, f"its processes were killed {killed} times in a row while they trained it")
            return
        try:
            listeners = [Journal(place.study), self.crashes.listener(place)]
            study = Session(self.storage, place.study, self.options).run(stop, listeners)
            if study.state is StudyState.DONE:
                self._conclude(study)
        except NotPreparedError as problem:
            self._decline(place, problem)
        except (CrashedError, DataError, DefinitionError) as problem:
            say(f"{place.study} can never run: {problem}")
            set_problem(self.storage, place, str(problem), self.worker.name)
        except StudyError as problem:
            self._decline(place, problem)
        except OptbenchError:  # the database's, which ends the worker
            raise
        except Exception as problem:  # of the study's data or model: anything, and other studies go on
            self._crashed(place, problem)

    def _crashed(self, place: Place, problem: Exception) -> None:
        """Report an exception in a study, and leave the study to others if that happens again and again."""
        log.error("%s crashed this worker", place.study, exc_info=problem)
        times = self.crashes.add(place)
        if times > self.crashes.most:
            what = f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:LONGEST_REASON]
            self._leave_crashing(place, f"it crashed a worker {times} times in a row, the last time with {what}")

    def _leave_crashing(self, place: Place, why: str) -> None:
        say(f"{place.study} is left to other workers: {why}")
        if self.taker.leave_crashing(place, why) >= CRASHED:
            set_problem(self.storage, place, f"{CRASHED} workers left it; {why}", self.worker.name)

    def _decline(self, place: Place, problem: OptbenchError) -> None:
        say(f"{place.study} is left to other workers: {problem}")
        self.taker.decline(place, str(problem))

    def _conclude(self, study: StudyRecord) -> None:
        """Take the finished study out of the queue; a search's finals get its place there, if it asks for any."""
        outcome, finals_id = f"{study.finished} trials", None
        if study.sweep is not None and study.sweep.finals is not None and study.searches:
            outcome, finals_id = self._open_finals(study, study.sweep.finals)
        elif study.best is not None:
            outcome += f", best {100 * study.best:.2f} %"
        if conclude(self.storage, study.study_id, outcome, finals_id):
            say(f"{study.name} is done: {outcome}")

    def _open_finals(self, study: StudyRecord, asked: Finals) -> tuple[str, int | None]:
        """What became of the finals, in words, and their id if they are to be trained."""
        try:
            finals = open_finals(self.storage, study, asked, study.digests, study.facts)
        except StudyError as problem:
            why = str(problem).removeprefix(f"finals of {study.name!r}: ")
            return f"{study.finished} trials; no finals: {why}", None
        outcome = f"{study.finished} trials; its finals are {finals.name!r}"
        return outcome, None if finals.state is StudyState.DONE else finals.study_id


def has_gpu() -> bool:
    """Whether this process has a graphics card that TensorFlow can use, as the driver and CUDA_VISIBLE_DEVICES say.

    Ray and Slurm set the variable for a worker that got none of the machine's cards.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1", "NoDevFiles")
    return not hidden and NVIDIA.is_dir() and any(NVIDIA.iterdir())


def main() -> int:
    """The exit code: see exits.py."""
    given = _arguments()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # Ray starts its processes, and so this one, without Ctrl-C
    with Stop(given.lifetime, drain=True, grace=given.grace) as stop:
        try:
            set_up()
            _work(given, stop)
        except OptbenchError as problem:
            print(f"optbench: {' '.join(str(problem).split())}", file=sys.stderr)
            if not (isinstance(problem, StorageError) and stop()):  # one that is to end need not wait for the database
                return code_of(problem)
    return after_signal(stop.signal) if stop.signal else ExitCode.OK


def _work(given: argparse.Namespace, stop: Stop) -> None:
    options = Options(
        data_dir=given.data_dir,
        heartbeat_timeout=given.heartbeat_timeout,
        retries=given.retries,
        allow_code=given.allow_code,
        linger=False,
    )
    storage = open_storage(storage_url(), create=True)  # it may not have been there before
    logging.getLogger("optuna").setLevel(logging.WARNING)  # after its import, which sets a level
    try:
        worker = PoolWorker(
            storage,
            label=given.label,
            gpu=has_gpu(),
            cores=cores(),
            heartbeat_timeout=given.heartbeat_timeout,
            series=os.environ.get(SERIES),
        )
        why = Pooled(worker, options, given.exit_when_idle).run(stop)
        if stop.orphaned:
            why = "the process that started it has ended"
        elif stop.signal is not None:
            why = f"it got {signal.Signals(stop.signal).name}"
        say(f"worker {worker.name} ends: {why}")
    finally:
        storage.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A worker of the pool; `optbench worker` starts it.")
    parser.add_argument("--label")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--exit-when-idle", type=float)
    parser.add_argument("--lifetime", type=float)
    parser.add_argument("--grace", type=float, default=GRACE)
    parser.add_argument("--heartbeat-timeout", type=int, default=HEARTBEAT_TIMEOUT)
    parser.add_argument("--retries", type=int, default=RETRIES)
    parser.add_argument("--allow-code", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
