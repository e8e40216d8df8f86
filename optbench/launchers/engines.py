"""What holds for every engine that starts workers on other machines."""

from optbench.errors import DefinitionError, OptbenchError
from optbench.storage import shown
from optbench.storage.check import parse_url

MOST = {"workers": 1000, "worker-cpus": 4096, "worker-gpus": 64}
"""The largest values of what is asked of a cluster."""


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
    given = {"workers": (workers, least), "worker-cpus": (cpus, 1), "worker-gpus": (gpus, 0)}
    for option, (number, low) in given.items():
        if not low <= number <= MOST[option]:
            raise DefinitionError(f"--{option} {number}; expected a whole number from {low} to {MOST[option]}")
