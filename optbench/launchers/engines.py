"""What holds for every engine that starts workers on other machines."""

from optbench.errors import DefinitionError, OptbenchError
from optbench.storage import shown
from optbench.storage.check import parse_url

MOST_WORKERS, MOST_CPUS, MOST_GPUS = 1000, 4096, 64


class EngineError(OptbenchError):
    """An engine is not there, or refuses to start workers."""


def check_shared(url: str, option: str) -> None:
    """Raises DefinitionError for a database that only this machine can use: `option` asks for workers on others."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        raise DefinitionError(
            f"{option}: {shown(parsed)} is an SQLite file, which processes on several machines would damage; name a "
            "PostgreSQL or MariaDB server with --storage (`optbench docs databases-and-operations`)"
        )


def check_workers(workers: int, cpus: int, gpus: int, least: int = 1) -> None:
    """Raises DefinitionError for a number of workers, or of what each gets, that makes no sense."""
    bounds = {
        "workers": (workers, least, MOST_WORKERS),
        "worker-cpus": (cpus, 1, MOST_CPUS),
        "worker-gpus": (gpus, 0, MOST_GPUS),
    }
    for option, (number, low, high) in bounds.items():
        if not low <= number <= high:
            raise DefinitionError(f"--{option} {number}; expected a whole number from {low} to {high}")
