"""The options of a worker of the pool, and the words of a command line that ask for them."""

from dataclasses import dataclass
from pathlib import Path

from optbench.defaults import GRACE, HEARTBEAT_TIMEOUT, RETRIES
from optbench.errors import DefinitionError
from optbench.worker.bounds import check_counts


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """What a worker of the pool is asked for; None leaves the choice to it. Times are in seconds."""

    label: str | None = None
    exit_when_idle: float | None = None
    lifetime: float | None = None
    grace: float = GRACE
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT
    retries: int = RETRIES
    data_dir: Path | None = None
    allow_code: bool = False

    def check(self) -> None:
        """Raises DefinitionError for a value that makes no sense."""
        check_counts(flags=True, heartbeat_timeout=self.heartbeat_timeout, retries=self.retries)
        for option, given in self._seconds().items():
            if given is not None and not 0 <= given < float("inf"):
                raise DefinitionError(f"--{option} {given:g}; expected seconds, 0 or more")

    def words(self) -> list[str]:
        """The options as words of a command line."""
        options = {
            **self._seconds(),
            "label": self.label,
            "data-dir": self.data_dir,
            "heartbeat-timeout": self.heartbeat_timeout,
            "retries": self.retries,
        }
        shown = {name: f"{value:g}" if isinstance(value, float) else value for name, value in options.items()}
        words = [f"--{name}={value}" for name, value in shown.items() if value is not None]
        return [*words, *(["--allow-code"] if self.allow_code else [])]

    def _seconds(self) -> dict[str, float | None]:
        return {"exit-when-idle": self.exit_when_idle, "lifetime": self.lifetime, "grace": self.grace}
