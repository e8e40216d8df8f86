"""What a request can be refused with: a status and one line."""

from collections.abc import Mapping
from http import HTTPStatus

LONGEST = 1000  # characters of a line


class RefusalError(Exception):
    """The answer to a request that is not carried out. Its message is one line."""

    def __init__(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(" ".join(message.split())[:LONGEST])
        self.status, self.headers = status, dict(headers or {})
