"""What our WSGI applications share."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

UNREACHABLE = "the database does not answer; the server's log says why"
"""All that a request is told of a StorageError, whose text names the database's host, user or file."""
FAILED = "the server failed; its log says why"
RETRY = ("Retry-After", "5")
log = logging.getLogger(__name__)
Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


def answer(
    start: Callable[..., Any], status: str, content: Mapping[str, Any], headers: Sequence[tuple[str, str]] = ()
) -> list[bytes]:
    """The body of a JSON response with that content, after starting the response."""
    body = json.dumps(content).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]


def log_unanswered(problem: Exception) -> None:
    """Log why a request was not answered, for whoever runs the server."""
    log.warning("a request was not answered: %s", problem)
