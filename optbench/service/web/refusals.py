"""What a request can be refused with: a status and one line."""

from collections.abc import Mapping
from http import HTTPStatus

LONGEST = 1000  # characters of a line


def on_one_line(message: str) -> str:
    """The message without line breaks and control characters, not longer than LONGEST."""
    words = " ".join(message.split())
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in words)[:LONGEST]


class RefusalError(Exception):
    """The answer to a request that is not carried out. Its message is one line."""

    def __init__(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(on_one_line(message))
        self.status, self.headers = status, dict(headers or {})
