"""Starts workers of the pool as actors of a Ray cluster. Where they run, and again after a loss, is Ray's choice.

What was learned of Ray 2.60: `ray.cancel` cannot wake an actor that waits, and `force=True` leaves trials running, so a
second method of the actor stops it. What is put into a `runtime_env` is logged, so the URL goes by argument.
"""

import logging
import os
import signal
import tempfile
import time
from typing import Any

from optbench.errors import tolerated
from optbench.launchers import Status
from optbench.launchers.local import PREFIX
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.supervisor import Supervisor, pool_command

log = logging.getLogger(__name__)
LONGEST = 1000  # characters of an error that are told
LAST = 20_000  # bytes of a worker's output that are kept for its owner
ASK = 5.0  # seconds after which an actor is asked again whether it is there
ANSWER = 10.0  # seconds that an actor has to answer


class WorkerActor:
    """What an actor holds: the supervisor of one worker, whose process is started on the actor's machine."""

    def __init__(self, options: PoolOptions, url: str, cpus: int) -> None:
        # The file has no name, so nothing is left of it even if the actor is killed.
        self.output = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  it is open as long as the actor is there
        # Ray counts cores and binds nobody to them; the worker takes as many as Ray counts for it.
        environment = {"OPTBENCH_STORAGE": url, "OPTBENCH_CORES": str(cpus)}
        command = pool_command(options.words())
        self.supervisor = Supervisor(command, environment, self._say, output=self.output, lifetime=options.lifetime)

    def work(self) -> int:
        """The worker's exit code once it has shut down. If the machine is lost, Ray calls this elsewhere."""
        return self.supervisor.keep()

    def life(self) -> str:
        """A word that is new after each start of the actor, so that a lost one that is back can be told apart."""
        return self.supervisor.series

    def stop(self, number: int) -> None:
        self.supervisor.stop(number)

    def logs(self) -> str:
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), LAST, max(0, size - LAST)).decode(errors="replace")

    def _say(self, line: str) -> None:
        self.output.write(f"{PREFIX}{line}\n".encode())


class RayWorker:
    """One worker as an actor with so many of Ray's cores and GPUs."""

    def __init__(self, options: PoolOptions, url: str, cpus: int = 1, gpus: int = 0) -> None:
        self.options, self.url, self.cpus, self.gpus = options, url, cpus, gpus
        self.actor: Any = None
        self.result: Any = None
        self.answer: Any = None  # to the last question whether the actor is there
        self.asked = 0.0  # when that was, by the monotonic clock
        self.life: str | None = None  # its last answer; None: it has never answered
        self.stopping = False  # whether it was told to stop, or is to be killed because it cannot be told
        self.output = ""

    def start(self) -> None:
        """Asks Ray for the actor, which starts once there is room."""
        import ray

        kind = ray.remote(WorkerActor).options(
            num_cpus=self.cpus,
            num_gpus=self.gpus,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=4,  # work, and what is asked meanwhile
            scheduling_strategy="SPREAD",
        )
        self.actor = kind.remote(self.options, self.url, self.cpus)
        self.answer, self.asked = self.actor.life.remote(), time.monotonic()
        self.result = self.actor.work.remote()

    @property
    def status(self) -> Status:
        """WAITING until Ray has room for the actor, and again while a lost one waits for room elsewhere.

        Frees the cores of an actor that has ended, and kills one that has not heard that it is to stop.
        """
        import ray

        if self.result is None:
            return Status.CREATED
        if ray.wait([self.result], timeout=0)[0]:
            self._release()
            return Status.ENDED
        if self._is_there():
            return Status.RUNNING
        if self.stopping:  # an actor without a process, or with a new one, knows nothing of that
            ray.kill(self.actor)
        return Status.WAITING

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal to the worker; one that waits for room never starts."""
        if self.status in (Status.CREATED, Status.ENDED):
            return
        self.stopping = True
        if self.status is Status.RUNNING:
            self.actor.stop.remote(number)

    def logs(self) -> str:
        """What the worker has printed so far on the machine where it is; what it printed before if Ray does not say."""
        if self.status is Status.RUNNING:
            self._read()
        return self.output

    def _is_there(self) -> bool:
        """Whether the actor has answered, and not long ago, and since `stop` in the same life. Asks it now and then."""
        import ray

        now = time.monotonic()
        if ray.wait([self.answer], timeout=0)[0]:
            with tolerated(log, "an actor that was killed does not answer", ray.exceptions.RayError):
                life = ray.get(self.answer)
                if self.stopping and life != self.life:
                    return False
                self.life = life
            if now - self.asked >= ASK:
                self.answer, self.asked = self.actor.life.remote(), now
        return self.life is not None and now - self.asked < ASK + ANSWER

    def _release(self) -> None:
        """Keeps what an actor that has ended printed, and gives back its cores, which others may wait for."""
        import ray

        if self.actor is None:
            return
        self._read()
        if not self.stopping:
            try:
                ray.get(self.result)
            except ray.exceptions.RayError as problem:  # for example because the machine cannot import this class
                self.output += f"{PREFIX}an actor of Ray failed: {' '.join(str(problem).split())[:LONGEST]}\n"
        ray.kill(self.actor)
        self.actor = None

    def _read(self) -> None:
        import ray

        with tolerated(log, "an actor that was killed, or is being restarted, prints nothing", ray.exceptions.RayError):
            self.output = ray.get(self.actor.logs.remote(), timeout=ANSWER)
