"""Turns Ctrl-C, SIGTERM, SIGHUP and a time limit into a stop request, which the loop checks between rounds."""

import enum
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
OWNER = "OPTBENCH_OWNER"  # the id of the process that started this worker; the worker stops when it has ended
SERIES = "OPTBENCH_SERIES"  # the last part of the names of all workers that one supervisor starts in turn
PREDECESSORS = "OPTBENCH_PREDECESSORS"  # the ids of the processes before this one that were soon killed, in a row


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


def strictest(*requests: StopRequest | None) -> StopRequest | None:
    """NOW if one of the requests is, else DRAIN if one is, else None."""
    return next((kind for kind in StopRequest if kind in requests), None)


class Stop:
    """Listens for signals inside its `with` block. Calling it returns the stop request, or None.

    The first signal asks for an orderly end, and the next one ends the process at once. With `drain` the first Ctrl-C
    lets running trials finish, and the second one asks for an orderly end; other signals mean what they always do.
    Signals that are ignored, for example under nohup, stay ignored. Outside the main thread Python allows no handlers,
    so no signal is noticed. `signal` is the last one; SIGTERM, and `orphaned`, if the owner has ended.

    With a `grace`, SIGTERM also lets running trials finish first, for so many seconds.
    """

    def __init__(
        self, timeout: float | None = None, signals: Sequence[int] = SIGNALS, *, drain: bool = False, grace: float = 0
    ) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.drain, self.draining, self.ending = drain, False, False
        self.grace = grace
        self.last_moment: float | None = None  # when the grace is over, by the monotonic clock
        self.signal: int | None = None
        self.owner, self.orphaned = int(os.environ.get(OWNER, 0)), False
        self.signals = signals

    def __enter__(self) -> "Stop":
        main = threading.current_thread() is threading.main_thread()
        heard = [number for number in self.signals if main and signal.getsignal(number) != signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._hear) for number in heard}
        for number in interrupts[:2]:
            self._request(number)
        interrupts.clear()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self) -> StopRequest | None:
        """NOW if an orderly end was asked for or the owner has ended, DRAIN if only running trials are to finish."""
        if self.owner and not self.ending and os.getppid() != self.owner:
            self.signal, self.ending, self.orphaned = signal.SIGTERM, True, True
        if self.last_moment is not None and time.monotonic() >= self.last_moment:
            self.ending = True
        if self.ending:
            return StopRequest.NOW
        over = self.deadline is not None and time.monotonic() >= self.deadline
        return StopRequest.DRAIN if over or self.draining else None

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.ending:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        self._request(number)

    def _request(self, number: int) -> None:
        self.signal = number
        if self.drain and not self.draining and number == signal.SIGINT:
            self.draining = True
        elif self.grace and self.last_moment is None and number == signal.SIGTERM:
            self.draining, self.last_moment = True, time.monotonic() + self.grace
        else:
            self.ending = True


def wait(stop: Callable[[], object], seconds: float) -> None:
    """Wait for so long, or until `stop` returns a request."""
    until = time.monotonic() + seconds
    while not stop() and time.monotonic() < until:
        time.sleep(0.1)
