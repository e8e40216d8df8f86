"""A Ray cluster that this process has joined, as the engine of workers."""

import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from optbench.errors import counted
from optbench.launchers import WorkerProcess
from optbench.launchers.engines import EngineError
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.ray_actors import RayWorker

MANY = 1_000_000  # more workers than any machine has room for
REACHED = 5.0  # seconds within which the address of a cluster must take a connection


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
