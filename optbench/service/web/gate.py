"""Says who sends a request and whether they may: tokens, logins of browsers, and what other sites may not do."""

import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import TypeVar

from werkzeug import Request

from optbench.errors import DefinitionError
from optbench.service.guard import READING, from_elsewhere, is_own
from optbench.service.web.refusals import RefusalError
from optbench.service.web.sessions import Failures, Sessions
from optbench.service.web.tokens import Scope, Token, TokenFile

COOKIE = "optbench_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
T = TypeVar("T")
log = logging.getLogger(__name__)
ASKING = {"WWW-Authenticate": 'Bearer realm="optbench"'}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sends a request. `csrf` is what a change must carry if it comes with a cookie; None: no such need.

    `session` is the id of the browser's login; None if it comes with a token or without any.
    """

    name: str
    scope: Scope
    csrf: str | None = None
    session: str | None = None


class Gate:
    """Lets requests in. Without `tokens` everybody who reaches the server may do everything, under the name `owner`."""

    def __init__(self, *, host: str, owner: str, tokens: TokenFile | None, read_only: bool) -> None:
        self.host, self.owner, self.tokens, self.read_only = host, owner, tokens, read_only
        self.sessions, self.failures = Sessions(), Failures()
        self.csrf = secrets.token_urlsafe(32)  # of the forms where nobody logs in

    def admit(self, request: Request, scope: Scope) -> Caller:
        """Who sends the request. Raises RefusalError unless they may do what `scope` is for."""
        caller = self.identify(request)
        if not caller.scope.includes(scope):
            raise RefusalError(
                HTTPStatus.FORBIDDEN, f"this needs a token with the scope {scope}; {caller.name!r} has {caller.scope}"
            )
        if request.method not in READING:
            self._check_change(request)
        return caller

    def identify(self, request: Request) -> Caller:
        """Who sends the request. Raises RefusalError if that cannot be known."""
        if self.tokens is None:
            if not is_own(request.environ.get("HTTP_HOST", ""), self.host):
                raise RefusalError(
                    HTTPStatus.FORBIDDEN,
                    "this host name is not served: use the address, or start the server with --host NAME",
                )
            return Caller(name=self.owner, scope=Scope.ADMIN, csrf=self.csrf)
        header = request.headers.get("Authorization")
        if header is not None:
            kind, _, secret = header.partition(" ")
            if kind.lower() != "bearer":
                raise RefusalError(HTTPStatus.UNAUTHORIZED, "expected Authorization: Bearer TOKEN", ASKING)
            token = self._token(request, secret.strip())
            return Caller(name=token.name, scope=token.scope)
        return self._of_browser(request, self.tokens)

    def log_in(self, request: Request, secret: str) -> str:
        """The id of a new session. Raises RefusalError for a wrong token."""
        return self.sessions.begin(self._token(request, secret.strip()))

    def check_form(self, caller: Caller, given: str) -> None:
        """Raise RefusalError unless a change that comes with a cookie carries what only our own pages know."""
        if caller.csrf is not None and not hmac.compare_digest(given.encode(), caller.csrf.encode()):
            raise RefusalError(
                HTTPStatus.FORBIDDEN, "this form is too old or did not come from this server; load the page again"
            )

    def check_header(self, request: Request, caller: Caller) -> None:
        """The same as `check_form` for changes by a browser's script, which carry it in a header."""
        if caller.session is not None:
            self.check_form(caller, request.headers.get(CSRF_HEADER, ""))

    def _of_browser(self, request: Request, tokens: TokenFile) -> Caller:
        identity = request.cookies.get(COOKIE, "")
        session = self.sessions.find(identity)
        if session is None or not _readable(lambda: tokens.holds(session.token)):
            raise RefusalError(
                HTTPStatus.UNAUTHORIZED, "this needs a token: send Authorization: Bearer TOKEN, or log in", ASKING
            )
        return Caller(name=session.token.name, scope=session.token.scope, csrf=session.csrf, session=identity)

    def _token(self, request: Request, secret: str) -> Token:
        assert self.tokens is not None
        tokens = self.tokens
        found = _readable(lambda: tokens.find(secret))
        if found is not None:
            return found
        wait = self.failures.add(request.remote_addr or "")
        if wait:
            raise RefusalError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many wrong tokens from this address",
                {"Retry-After": str(ceil(wait))},
            )
        raise RefusalError(HTTPStatus.UNAUTHORIZED, "no such token; `optbench token add` makes one", ASKING)

    def _check_change(self, request: Request) -> None:
        if self.read_only:
            raise RefusalError(HTTPStatus.FORBIDDEN, "this server is read-only")
        self.check_origin(request)

    def check_origin(self, request: Request) -> None:
        """Raise RefusalError for a request that a page of another site made the browser send."""
        if from_elsewhere(request.environ):
            raise RefusalError(HTTPStatus.FORBIDDEN, "requests from other sites may not change anything")


def _readable(ask: Callable[[], T]) -> T:
    """What `ask` returns. Raises RefusalError if the file of tokens cannot be read."""
    try:
        return ask()
    except DefinitionError as problem:
        log.warning("nobody is let in: %s", problem)
        raise RefusalError(
            HTTPStatus.SERVICE_UNAVAILABLE, "the server cannot read its tokens", {"Retry-After": "30"}
        ) from problem
