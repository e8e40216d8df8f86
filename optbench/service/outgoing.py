"""Requests to other servers. They follow no redirection, which could lead a token or a signature elsewhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)  # printable ASCII without spaces
CONNECTED = 10.0  # seconds within which a server must take a connection, with its TLS handshake


class _Prompt(HTTPConnection):
    """A connection that is made within CONNECTED; the answer has the whole timeout of the request."""

    def connect(self) -> None:
        whole, self.timeout = self.timeout, min(self.timeout or CONNECTED, CONNECTED)
        super().connect()
        self.timeout = whole
        self.sock.settimeout(whole)


class _PromptTls(_Prompt, HTTPSConnection):
    """The same with TLS. A server without it may wait for more of the handshake, and never answer."""


class _Http(HTTPHandler):
    def http_open(self, request: Request) -> Any:
        return self.do_open(_Prompt, request)


class _Https(HTTPSHandler):
    def https_open(self, request: Request) -> Any:
        return self.do_open(_PromptTls, request)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirect, _Http, _Https)


def is_url(given: str) -> bool:
    """Whether requests can be sent there: an http or https URL with a host, and without a user's name."""
    try:
        parts = urlsplit(given)
        return bool(URL.fullmatch(given) and parts.hostname and parts.username is None and parts.port != 0)
    except ValueError:  # for example a port that is no number
        return False


def shown(given: str) -> str:
    """What was given for a URL, without the user's name and the password that may be in it."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", given, flags=re.DOTALL)


@contextmanager
def answered(request: Request, timeout: float) -> Iterator[Any]:
    """The answer, if it is a success. Raises HTTPError for any other, and OSError if there is none that can be read."""
    try:
        with _opener.open(request, timeout=timeout) as answer:
            yield answer
    except (HTTPException, ValueError) as problem:
        # without the text of the problem, which may hold a token
        raise OSError(f"the request or the answer is malformed ({type(problem).__name__})") from problem
