"""Serves optuna-dashboard on our storage by several threads, and keeps what it shows of each study fresh."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from optbench.dashboard.artifacts import folder, store
from optbench.dashboard.guard import Guard, Password
from optbench.dashboard.refresh import refresh
from optbench.errors import DefinitionError
from optbench.storage import Storage, studies

FRESH_SECONDS = 15.0


def serve(
    storage: Storage,
    host: str,
    port: int,
    ready: Callable[[str], None],
    read_only: bool = False,
    password: Password | None = None,
) -> None:
    """Serve until interrupted; `ready` is told the address. Raises DefinitionError if it cannot be listened on."""
    import waitress
    from optuna_dashboard import wsgi

    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as problem:
        why = str(problem.strerror).partition(" (while")[0]  # what follows says the address again
        raise DefinitionError(f"cannot listen on {host}:{port}: {why}; choose another --host or --port") from problem
    with suppress(OSError):
        folder(storage).mkdir(parents=True, exist_ok=True)
    inner = wsgi(storage.optuna, artifact_store=store(folder(storage)))
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{listener.getsockname()[1]}/")
    if not read_only:
        threading.Thread(target=_keep_fresh, args=(storage,), daemon=True).start()
    waitress.serve(Guard(inner, host, read_only, password), sockets=[listener], threads=8, _quiet=True)


def _keep_fresh(storage: Storage) -> None:
    """Dress every study whose trials have changed since, again and again."""
    seen: dict[str, object] = {}
    while True:
        with suppress(Exception):  # out of reach, or a study was deleted meanwhile: what is there is shown
            for study in studies(storage):
                state = (study.study_id, study.counts, study.workers)
                if study.definition is not None and seen.get(study.name) != state:
                    refresh(storage, study)
                    seen[study.name] = state
        time.sleep(FRESH_SECONDS)
