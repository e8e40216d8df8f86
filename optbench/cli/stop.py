"""Turns Ctrl-C, SIGTERM, SIGHUP and a time limit into a wish that the loop asks for between two rounds."""

import os
import signal
import time
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
OWNER = "OPTBENCH_OWNER"  # set for the processes that `sweep --workers` starts: they end when it does


class Stop:
    """Listens from `with` on. The first signal asks for an orderly end; a second one ends at once."""

    def __init__(self, timeout: float | None = None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.signal: int | None = None
        self.owner = int(os.environ.get(OWNER, 0))
        self.heard: list[int] = []

    def __enter__(self) -> "Stop":
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # as nohup wants it
        self.before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self) -> str | None:
        """'now' after a signal, 'soon' after the time limit, else None."""
        if self.owner and os.getppid() != self.owner:
            self.signal = self.signal or signal.SIGTERM
        if self.signal is not None:
            return "now"
        return "soon" if self.deadline is not None and time.monotonic() >= self.deadline else None

    def updates(self) -> list[int]:
        """The signals since the last call."""
        heard, self.heard = self.heard, []
        return heard

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            raise SystemExit(128 + number)
        self.signal = number
        self.heard.append(number)
