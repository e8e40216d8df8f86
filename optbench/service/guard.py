"""Access control for optuna-dashboard, which by itself lets everybody who reaches it delete studies."""

import base64
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from optbench.errors import DefinitionError, StorageError
from optbench.service.secret_files import private_state
from optbench.service.wsgi import RETRY, UNREACHABLE, Application, Environment, answer, log_unanswered

LOOPBACK = ("127.0.0.1", "localhost", "::1")
READING = ("GET", "HEAD", "OPTIONS")


class Password:
    """A password. Only its salted hash is kept, and hashes are compared in constant time."""

    def __init__(self, word: str) -> None:
        self.salt = secrets.token_bytes(16)
        self.hash = self._hash(word)
        self.accepted: set[bytes] = set()  # digests of accepted headers, because scrypt is slow on purpose

    def fits(self, header: str) -> bool:
        """Whether an Authorization header has the password, with any user name."""
        digest = hashlib.sha256(self.salt + header.encode("latin-1", "replace")).digest()
        if any(hmac.compare_digest(digest, known) for known in list(self.accepted)):
            return True
        try:
            word = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")[2]
        except ValueError:
            return False
        if not header.startswith("Basic ") or not hmac.compare_digest(self._hash(word), self.hash):
            return False
        self.accepted.add(digest)
        return True

    def _hash(self, word: str) -> bytes:
        return hashlib.scrypt(word.encode(), salt=self.salt, n=2**14, r=8, p=1)


def read_password(file: Path) -> Password:
    """The password in the first line of the file. Raises DefinitionError, also if other users can read the file."""
    try:
        private_state(file, f"--password-file {file}")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise DefinitionError(
            f"--password-file {file}: cannot be read; expected a text file whose first line is the password"
        ) from problem
    word = text.split("\n")[0].strip()
    if len(word) < 8:
        raise DefinitionError(f"--password-file {file}: its first line has {len(word)} characters; expected 8 or more")
    return Password(word)


class Guard:
    """A WSGI application that checks host name, origin and password, and refuses changes if `read_only`.

    `host` is the address that the server listens on. Without a password the Host header must be an IP address, a
    loopback name, or `host` itself. Otherwise another site could make its own name point to this address and use the
    visitor's browser to reach the dashboard (DNS rebinding).
    """

    def __init__(self, inner: Application, host: str, read_only: bool, password: Password | None) -> None:
        self.inner, self.host, self.read_only, self.password = inner, host, read_only, password

    def __call__(self, environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        refusal = self._refusal(environment)
        if refusal is None:
            try:
                return self.inner(environment, start)
            except StorageError as problem:
                log_unanswered(problem)
                return answer(start, "503 Service Unavailable", {"reason": UNREACHABLE}, [RETRY])
        status, reason = refusal
        asking = [("WWW-Authenticate", 'Basic realm="optbench"')] if status.startswith("401") else []
        return answer(start, status, {"reason": reason}, asking)

    def _refusal(self, environment: Environment) -> tuple[str, str] | None:
        host = environment.get("HTTP_HOST", "")
        if self.password is None and not is_own(host, self.host):
            return (
                "403 Forbidden",
                "this host name is not served: use the address, or start the dashboard with --host NAME",
            )
        if self.password is not None and not self.password.fits(environment.get("HTTP_AUTHORIZATION", "")):
            return "401 Unauthorized", "this dashboard needs a password"
        if environment["REQUEST_METHOD"] in READING:
            return None
        if self.read_only:
            return "403 Forbidden", "this dashboard is read-only"
        if from_elsewhere(environment):
            return "403 Forbidden", "requests from other sites may not change anything"
        return None


def is_own(given: str, host: str) -> bool:
    """Whether a Host header names a server that listens on `host`, and not another site (see Guard)."""
    name = _name(given)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in (*LOOPBACK, host)
    return address.is_loopback or host not in LOOPBACK


def from_elsewhere(environment: Environment) -> bool:
    """Whether a page of another site made the browser send the request."""
    origin = environment.get("HTTP_ORIGIN")
    elsewhere = environment.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none")
    return elsewhere or (origin is not None and origin.partition("://")[2] != environment.get("HTTP_HOST", ""))


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
