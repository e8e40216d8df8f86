"""Turns Ctrl-C, SIGTERM, SIGHUP and a time limit into a wish that the loop asks for between two rounds."""

import signal
import time
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stop:
    """Listens from `with` on. The first signal asks for an orderly end; a second one ends at once."""

    def __init__(self, timeout: float | None = None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.signal: int | None = None

    def __enter__(self) -> "Stop":
        self.before = {number: signal.signal(number, self._heard) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self) -> str | None:
        """'now' after a signal, 'soon' after the time limit, else None."""
        if self.signal is not None:
            return "now"
        return "soon" if self.deadline is not None and time.monotonic() >= self.deadline else None

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            raise SystemExit(128 + number)
        self.signal = number
