"""optuna-dashboard on our storage, served by several threads."""

import socket
from collections.abc import Callable

from optbench.errors import DefinitionError
from optbench.storage import Storage


def serve(storage: Storage, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready` is told the address. Raises DefinitionError if it cannot be listened on."""
    import waitress
    from optuna_dashboard import wsgi

    try:
        listener = socket.create_server((host, port))
    except (OSError, OverflowError) as problem:
        raise DefinitionError(
            f"cannot listen on {host}:{port}: {problem}; choose another --host or --port"
        ) from problem
    ready(f"http://{host}:{listener.getsockname()[1]}/")
    waitress.serve(wsgi(storage.optuna), sockets=[listener], threads=8, _quiet=True)
