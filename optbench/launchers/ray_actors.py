"""Starts workers of the pool as actors of a Ray cluster. Where they run, and again after a loss, is Ray's choice.

What was learned of Ray 2.60: `ray.cancel` cannot wake an actor that waits, and `force=True` leaves trials running, so a
second method of the actor stops it. What is put into a `runtime_env` is logged, so the URL goes by argument.
"""

import logging
import os
import signal
import socket
import tempfile
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from optbench.errors import counted, tolerated
from optbench.launchers import Status, WorkerProcess
from optbench.launchers.engines import EngineError
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.supervisor import Supervisor, pool_command

log = logging.getLogger(__name__)
LAST = 20_000  # bytes of a worker's output that are kept for its owner
MANY = 1_000_000  # more workers than any machine has room for
REACHED = 5.0  # seconds within which the address of a cluster must take a connection
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
        """Another word after each start of the actor."""
        return self.supervisor.series

    def stop(self, number: int) -> None:
        self.supervisor.stop(number)

    def logs(self) -> str:
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), LAST, max(0, size - LAST)).decode(errors="replace")

    def _say(self, line: str) -> None:
        self.output.write(f"optbench: {line}\n".encode())


class RayWorker:
    """One worker as an actor with so many of Ray's cores and GPUs."""

    def __init__(self, options: PoolOptions, url: str, cpus: int = 1, gpus: int = 0) -> None:
        self.options, self.url, self.cpus, self.gpus = options, url, cpus, gpus
        self.actor: Any = None
        self.result: Any = None
        self.answer: Any = None  # to the last question whether the actor is there
        self.asked, self.stopping = 0.0, False  # when that was
        self.life: str | None = None  # its last answer; None: it has never answered
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

        if self.actor is not None:
            self._read()
            ray.kill(self.actor)
            self.actor = None

    def _read(self) -> None:
        import ray

        with tolerated(log, "an actor that was killed, or is being restarted, prints nothing", ray.exceptions.RayError):
            self.output = ray.get(self.actor.logs.remote(), timeout=ANSWER)


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """A Ray cluster, and how many workers it is to start, with so many cores and GPUs each."""

    url: str
    count: int
    cpus: int = 1
    gpus: int = 0
    stays: bool = False

    def check(self) -> None:
        """Joins the cluster. Raises EngineError if there is none, or no machine has room for a worker."""
        connect()
        if self.count and not room(self.cpus, self.gpus):
            wanted = counted(self.cpus, "core") + (f" and {counted(self.gpus, 'GPU')}" if self.gpus else "")
            raise EngineError(f"no machine of the Ray cluster has {wanted}; see `ray status`")

    def workers(self, options: PoolOptions) -> list[WorkerProcess]:
        """One worker for each actor."""
        return [RayWorker(options, self.url, self.cpus, self.gpus) for _ in range(self.count)]

    def started(self, workers: list[WorkerProcess]) -> str:
        fit = room(self.cpus, self.gpus)
        short = "" if fit >= self.count else f"; the cluster has room for {fit}, and the others start once it has more"
        return f"Ray has {counted(self.count, 'worker')}{short}" if workers else "no worker was started"

    def left(self, workers: list[WorkerProcess]) -> str:
        return ""

    def close(self) -> None:
        disconnect()


def connect() -> None:
    """Joins the Ray cluster at RAY_ADDRESS, else the one that runs on this machine. Raises EngineError."""
    try:
        import ray
    except ImportError as problem:
        raise EngineError("--on ray: Ray is not installed; type `pip install 'optbench[ray]'`") from problem
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        _reach(address)
        ray.init(
            address=address,
            logging_level="error",
            log_to_driver=False,  # the progress comes from the database
            configure_logging=False,
        )
        _hush()
    except (OSError, RuntimeError, ValueError) as problem:
        line = " ".join(str(problem).split())[:200]
        raise EngineError(
            f"--on ray: no Ray cluster answers ({line}); `ray start --head` starts one, RAY_ADDRESS names another",
            passing=isinstance(problem, OSError),
        ) from problem


def _hush() -> None:
    """Keeps what Ray says of lost workers and nodes off standard output, where --json prints. No public option does."""
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = False


def _reach(address: str) -> None:
    """Raises OSError or ValueError if nothing listens at HOST:PORT; Ray itself would try for a minute and print lines.

    Addresses of other forms, such as auto, are left to Ray.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        try:
            socket.create_connection((parts.hostname, parts.port), timeout=REACHED).close()
        except OSError as problem:
            raise OSError(f"{address}: {problem.strerror or problem}") from problem


def disconnect() -> None:
    """Leaves the cluster; the actors of this process end."""
    import ray

    if ray.is_initialized():
        ray.shutdown()


def room(cpus: int, gpus: int) -> int:
    """For how many workers with so many cores and GPUs each the machines of the cluster have room in all."""
    import ray

    found = 0
    for node in ray.nodes():
        if node["Alive"]:
            held = node["Resources"]
            by_gpus = int(held.get("GPU", 0) // gpus) if gpus else MANY
            found += min(int(held.get("CPU", 0) // cpus), by_gpus)
    return found
