"""Runs the service: the web server in threads, the workers as processes, and a clean shutdown."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.errors import StorageError, tolerated
from optbench.exits import after_signal
from optbench.launchers.fleet import Fleet
from optbench.service.serve import Refresher, address, dashboard_application, listen
from optbench.service.web.application import Web
from optbench.service.web.call import Service
from optbench.service.web.gate import Gate
from optbench.service.web.health import readiness_of
from optbench.service.web.snapshot import Snapshots
from optbench.service.web.tokens import TokenFile
from optbench.storage import Storage
from optbench.storage.pool import LostWorkers
from optbench.worker.stop import SIGNALS

THREADS = 8
LOOK = 2.0  # seconds between two looks at the workers
LARGEST = 16 * 1024 * 1024  # bytes of a request, for artifacts of optuna-dashboard; the API takes less
LAST_ANSWERS = 3.0  # seconds that requests have when the server ends

log = logging.getLogger("optbench.serve")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How to serve: where, for whom, and with how many workers. `owner` submits where there are no tokens.

    `worker_options` are the command-line options of the workers, and `sweeps` the folder that definitions' files come
    from.
    """

    host: str
    port: int
    owner: str
    tokens: TokenFile | None = None
    read_only: bool = False
    workers: int = 0
    worker_options: Sequence[str] = ()
    sweeps: Path | None = None


def run(storage: Storage, setting: Setting, ready: Callable[[str], None], say: Callable[[str], None]) -> int:
    """The exit code, after serving until a signal. `ready` gets the address, and `say` a line about each death.

    The first signal lets the workers end, as `optbench worker` would, while the pages stay; the next ones are passed on
    to them. Raises DefinitionError if the port is taken.
    """
    listener = listen(setting.host, setting.port)
    service = _service(storage, setting)
    server = WebServer(Web(service, dashboard_application(storage)), listener)
    url = storage.url.render_as_string(hide_password=False)
    fleet = Fleet(url, setting.worker_options, setting.workers, say)
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        service.stopping.set()
        fleet.stop(number)

    # Signals that are ignored, for example under nohup, stay ignored.
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in heeded}
    try:
        server.start()
        ready(address(setting.host, listener))
        fleet.start()
        refresher = None if setting.read_only else Refresher(storage)
        if refresher is not None:
            threading.Thread(target=refresher.run, daemon=True).start()
            threading.Thread(target=_notice_lost, args=(storage, service.stopping), daemon=True).start()
        while not heard or fleet.running:
            time.sleep(0.1)
    finally:
        service.stopping.set()
        fleet.stop(signal.SIGTERM)
        server.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return after_signal(heard[0])


def _notice_lost(storage: Storage, over: threading.Event) -> None:
    """Remove dead workers from the pool until it is over."""
    lost = LostWorkers(storage)
    while not over.wait(LOOK):
        with tolerated(log, "dead workers are not noticed now", StorageError):
            lost.look()


def _service(storage: Storage, setting: Setting) -> Service:
    return Service(
        storage=storage,
        gate=Gate(host=setting.host, owner=setting.owner, tokens=setting.tokens, read_only=setting.read_only),
        snapshots=Snapshots(storage),
        readiness=readiness_of(storage),
        sweeps=None if setting.sweeps is None else setting.sweeps.resolve(),
    )


class WebServer:
    """waitress in a thread of its own, which can be ended."""

    def __init__(self, application: Web, listener: socket.socket) -> None:
        import waitress

        self.sockets: dict[int, Any] = {}
        self.server = waitress.create_server(
            application,
            map=self.sockets,
            sockets=[listener],
            threads=THREADS,
            max_request_body_size=LARGEST,
            clear_untrusted_proxy_headers=False,  # X-Forwarded-Proto says whether the cookie is only for HTTPS
            ident=None,
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def start(self) -> None:
        """Answer requests from now on."""
        self.thread.start()

    def stop(self) -> None:
        """Answer the requests that are there, and end."""
        from waitress import wasyncore

        self.server.task_dispatcher.shutdown(timeout=LAST_ANSWERS)
        time.sleep(0.05)  # for the last bytes on their way
        self.server.trigger.pull_trigger(lambda: wasyncore.close_all(self.sockets, ignore_all=True))
        self.thread.join(LAST_ANSWERS)
