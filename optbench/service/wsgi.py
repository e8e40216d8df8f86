"""What our WSGI applications share."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


def answer(
    start: Callable[..., Any], status: str, content: Mapping[str, Any], headers: Sequence[tuple[str, str]] = ()
) -> list[bytes]:
    """The body of a JSON response with that content, after starting the response."""
    body = json.dumps(content).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]
