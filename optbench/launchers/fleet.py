"""Supervised workers of the pool on this machine, each on its own cores, for a process that does more than that."""

import threading
from collections.abc import Callable, Sequence

from optbench.launchers.local import divide_cores
from optbench.launchers.supervisor import Supervisor, pool_command


class Fleet:
    """So many workers of the pool on the database at `url`, with these options; `say` gets a line about each death."""

    def __init__(self, url: str, options: Sequence[str], count: int, say: Callable[[str], None]) -> None:
        command, environment = pool_command(options), {"OPTBENCH_STORAGE": url}
        self.supervisors = [Supervisor(command, environment, say, cores) for cores in divide_cores(count)]
        self.threads = [threading.Thread(target=one.keep, daemon=True) for one in self.supervisors]

    def start(self) -> None:
        """Start every worker."""
        for thread in self.threads:
            thread.start()

    def stop(self, number: int) -> None:
        """Pass a signal on to every worker: SIGINT lets running trials finish, SIGTERM gives them their grace."""
        for one in self.supervisors:
            one.stop(number)

    @property
    def running(self) -> int:
        """How many workers have not shut down."""
        return sum(thread.is_alive() for thread in self.threads)
