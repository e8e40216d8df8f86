"""Serves optuna-dashboard on our storage, and keeps what it shows of each study up to date."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from optbench.errors import DefinitionError, StorageError
from optbench.service.artifacts import Store, folder
from optbench.service.guard import Guard, Password
from optbench.service.refresh import refresh
from optbench.service.rename import Rename
from optbench.service.wsgi import FAILED, Application, Environment, answer
from optbench.storage import Storage, StudyRecord, studies
from optbench.storage.liveness import clock
from optbench.storage.optuna_private import sort_saved_plots

REFRESH_SECONDS = 15.0
SANDBOX = [("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff")]
"""For artifacts: people upload them, and a page among them must not act for whoever views it."""

log = logging.getLogger("optbench.dashboard")


def serve(
    storage: Storage,
    host: str,
    port: int,
    ready: Callable[[str], None],
    read_only: bool = False,
    password: Password | None = None,
) -> None:
    """Serve until interrupted, and call `ready` with the address first. Raises DefinitionError if the port is taken."""
    import waitress

    listener = listen(host, port)
    inner = dashboard_application(storage)
    ready(address(host, listener))
    if not read_only:
        threading.Thread(target=Refresher(storage).run, daemon=True).start()
    guarded = Guard(inner, host, read_only, password)
    waitress.serve(guarded, sockets=[listener], threads=8, _quiet=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises DefinitionError if the port is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError, UnicodeError) as problem:
        said = str(getattr(problem, "strerror", None) or problem)
        why = said.partition(" (while")[0]  # the rest repeats the address
        raise DefinitionError(f"cannot listen on {host}:{port}: {why}; choose another --host or --port") from problem


def address(host: str, listener: socket.socket) -> str:
    """The URL of a server on that host."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"


def dashboard_application(storage: Storage) -> Application:
    """optuna-dashboard on the database, with our artifacts, and with renames that keep what belongs to a study."""
    from optuna_dashboard import wsgi

    try:
        folder(storage).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        log.warning("artifacts cannot be kept in %s: %s", folder(storage), problem.strerror)
    sort_saved_plots()
    inner = wsgi(storage.optuna, artifact_store=Store(storage))
    inner.catchall = False  # else it answers with a traceback in the log
    logging.getLogger("optuna_dashboard._bottle_util").addFilter(_on_one_line)
    return _Dashboard(Rename(inner, storage), storage)


class _Dashboard:
    """optuna-dashboard, which raises StorageError while the database does not answer; all else that fails is a 500."""

    def __init__(self, inner: Application, storage: Storage) -> None:
        self.inner, self.storage = inner, storage

    def __call__(self, environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        begun: list[tuple[Any, ...]] = []

        def begin(*given: Any) -> None:
            begun.append(given)

        environment.setdefault("HTTP_ACCEPT_ENCODING", "identity")  # without one optuna-dashboard answers 500
        failure: Exception | None = None
        try:
            found = self.inner(environment, begin)
        except StorageError:
            raise
        except Exception as problem:  # for example an artifact that cannot be read
            failure, found = problem, answer(begin, "500 Internal Server Error", {"reason": FAILED})
        method, path = environment["REQUEST_METHOD"], environment.get("PATH_INFO", "")
        status, headers, *rest = begun[-1]
        if status.startswith("500"):
            self.storage.read(clock)  # raises StorageError if the database is the cause
        if failure is not None:
            log.error("%s %r failed: %s", method, path, _line(failure))
            log.debug("the traceback of that", exc_info=failure)
        start(status, [*headers, *(SANDBOX if path.startswith("/artifacts/") else [])], *rest)
        return found


def _on_one_line(record: logging.LogRecord) -> bool:
    """Whether to log the record: always, without the traceback that optuna-dashboard has in its text."""
    record.msg = str(record.msg).partition("\n")[0]
    return True


class Refresher:
    """Brings the notes, plots and artifacts of studies up to date when their trials have changed.

    A study that cannot be brought up to date does not delay the others. The problem is logged once for each state of
    the study.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.shown: dict[int, object] = {}  # the state in which each study was last brought up to date
        self.warned: dict[int, object] = {}
        self.outage = ""

    def run(self) -> None:
        """Look at every study again and again."""
        while True:
            self.round()
            time.sleep(REFRESH_SECONDS)

    def round(self) -> None:
        """Look at every study once."""
        try:
            found = studies(self.storage)
        except Exception as problem:  # the dashboard goes on, whatever happens to the database
            if str(problem) != self.outage:
                log.warning("the studies cannot be read, so the dashboard shows their earlier state: %s", problem)
            self.outage = str(problem)
            return
        self.outage = ""
        for study in found:
            if study.sweep is not None:
                self._refresh(study)

    def _refresh(self, study: StudyRecord) -> None:
        winner = None if study.finals is None else study.finals.winner
        state = study.name, dict(study.counts), study.workers, study.total, study.about, winner
        if self.shown.get(study.study_id) == state:
            return
        try:
            refresh(self.storage, study)
        except Exception as problem:  # for example a study that was just deleted; the others must still be shown
            level = logging.DEBUG if self.warned.get(study.study_id) == state else logging.WARNING
            log.log(level, "study %r is not up to date in the dashboard: %s", study.name, _line(problem))
            log.debug("the traceback of that", exc_info=problem)
            self.warned[study.study_id] = state
        else:
            self.shown[study.study_id] = state


def _line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0]}"
