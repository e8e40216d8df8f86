"""Turns Ctrl-C, SIGTERM, SIGHUP and a time limit into a stop request, which the loop checks between rounds."""

import enum
import os
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
OWNER = "OPTBENCH_OWNER"  # the id of the process that started this worker; the worker stops when it has ended


interrupts: list[int] = []
"""The Ctrl-C signals since `remember_interrupts` that no Stop has heard."""


def remember_interrupts() -> None:
    """Remember Ctrl-C from now on, so that the next Stop stops even if its KeyboardInterrupt was lost.

    Python drops it where the signal comes in a callback or a finalizer, for example while it imports. A program that
    ignores Ctrl-C, or has a handler of its own, stays as it is.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    interrupts.append(number)
    raise KeyboardInterrupt


class StopRequest(enum.Enum):
    """How a worker is to end."""

    NOW = "now"  # end the running trials as interrupted
    DRAIN = "drain"  # let the running trials finish, and start no others


class Stop:
    """Listens for signals inside its `with` block. Calling it returns the stop request, or None.

    The first signal asks for an orderly end, and a second one ends the process at once. Signals that are ignored, for
    example under nohup, stay ignored. Outside the main thread Python allows no handlers, so no signal is noticed.
    """

    def __init__(self, timeout: float | None = None, signals: Sequence[int] = SIGNALS) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.signal: int | None = None
        self.owner = int(os.environ.get(OWNER, 0))
        self.signals = signals
        self.unread: list[int] = []

    def __enter__(self) -> "Stop":
        main = threading.current_thread() is threading.main_thread()
        heard = [number for number in self.signals if main and signal.getsignal(number) != signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._hear) for number in heard}
        if interrupts:
            self.signal = interrupts[-1]
            self.unread.append(self.signal)
            interrupts.clear()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self) -> StopRequest | None:
        """NOW after a signal or after the owner has ended, DRAIN after the time limit, else None."""
        if self.owner and os.getppid() != self.owner:
            self.signal = self.signal or signal.SIGTERM
        if self.signal is not None:
            return StopRequest.NOW
        return StopRequest.DRAIN if self.deadline is not None and time.monotonic() >= self.deadline else None

    def new_signals(self) -> list[int]:
        """The signals since the last call."""
        new, self.unread = self.unread, []
        return new

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self.signal = number
        self.unread.append(number)
