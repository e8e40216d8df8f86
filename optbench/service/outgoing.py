"""Requests to other servers. They follow no redirection, which could lead a token or a signature elsewhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)  # printable ASCII without spaces


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirect)


def is_url(given: str) -> bool:
    """Whether requests can be sent there: an http or https URL with a host, and without a user's name."""
    try:
        parts = urlsplit(given)
        return bool(URL.fullmatch(given) and parts.hostname and parts.username is None and parts.port != 0)
    except ValueError:  # for example a port that is no number
        return False


@contextmanager
def answered(request: Request, timeout: float) -> Iterator[Any]:
    """The answer, if it is a success. Raises HTTPError for any other, and OSError if there is none that can be read."""
    try:
        with _opener.open(request, timeout=timeout) as answer:
            yield answer
    except (HTTPException, ValueError) as problem:
        # without the text of the problem, which may hold a token
        raise OSError(f"the request or the answer is malformed ({type(problem).__name__})") from problem
