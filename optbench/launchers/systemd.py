"""Tells systemd that a service is ready, alive or ending, by the protocol of sd_notify(3)."""

import logging
import os
import socket
import time
from collections.abc import MutableMapping

from optbench.errors import tolerated

log = logging.getLogger(__name__)
SOCKET, WATCHDOG, PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
VARIABLES = (SOCKET, WATCHDOG, PROCESS)  # for this process alone, not for those that it starts


class Systemd:
    """Sends messages to the service manager; does nothing where none listens."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        self.address = environment.get(SOCKET, "")
        for_me = environment.get(PROCESS, str(os.getpid())) == str(os.getpid())
        limit = environment.get(WATCHDOG, "") if for_me else ""
        self.every = int(limit) / 2e6 if limit.isdecimal() else None  # half of the time that systemd waits, in seconds
        self.due = 0.0

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Tells it that the process lives, if that is due."""
        if self.every is not None and time.monotonic() >= self.due:
            self.due = time.monotonic() + self.every
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            tolerated(log, "systemd was not told", OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.sendto(message.encode(), address)
