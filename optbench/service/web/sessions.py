"""What the server remembers of browsers: logins, wrong tokens, and lines to show them. Only in memory."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from optbench.service.web.tokens import Token

LIFETIME = 12 * 3600.0  # seconds that a login is good for
MOST = 10_000  # sessions, and addresses
FAILURES, WINDOW = 10, 60.0  # so many wrong tokens from an address in so many seconds are answered


@dataclass(frozen=True)
class Session:
    """A browser that logged in with a token. Its forms carry `csrf`, which other sites cannot know."""

    token: Token
    csrf: str
    until: float


class Sessions:
    """The sessions by their ids, which are random and only in the browser's cookie. A restart ends all of them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now, self.lock = now, threading.Lock()
        self.held: dict[str, Session] = {}

    def begin(self, token: Token) -> str:
        """The id of a new session."""
        identity = secrets.token_urlsafe(32)
        with self.lock:
            self.held = {key: one for key, one in self.held.items() if one.until > self.now()}
            if len(self.held) >= MOST:
                del self.held[next(iter(self.held))]
            self.held[identity] = Session(token, secrets.token_urlsafe(32), self.now() + LIFETIME)
        return identity

    def find(self, identity: str) -> Session | None:
        """The session of that id; None if it is unknown or over."""
        found = self.held.get(identity)
        return found if found is not None and found.until > self.now() else None

    def end(self, identity: str) -> None:
        """Forget the session."""
        with self.lock:
            self.held.pop(identity, None)


class Lines:
    """Lines that a page is to show once, by random codes, so that no address can make it say something else."""

    def __init__(self) -> None:
        self.lock, self.held = threading.Lock(), dict[str, str]()

    def keep(self, line: str) -> str:
        """The code of the line."""
        code = secrets.token_urlsafe(16)
        with self.lock:
            if len(self.held) >= MOST:
                del self.held[next(iter(self.held))]
            self.held[code] = line
        return code

    def take(self, code: str) -> str:
        """The line of that code, which is forgotten; empty if there is none."""
        with self.lock:
            return self.held.pop(code, "")


class Failures:
    """Counts wrong tokens by address.

    A right token is let in even from an address with too many wrong ones: 256 random bits cannot be guessed, and so
    nobody can lock others out who share the address of a proxy.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now, self.lock = now, threading.Lock()
        self.seen: dict[str, list[float]] = {}

    def add(self, address: str) -> float:
        """The seconds to wait after one more wrong token from the address; 0 if it may try again at once."""
        now = self.now()
        with self.lock:
            recent = [at for at in self.seen.pop(address, []) if at > now - WINDOW]
            if len(recent) >= FAILURES:
                self.seen[address] = recent
                return recent[0] + WINDOW - now
            self.seen[address] = [*recent, now]
            if len(self.seen) > MOST:
                del self.seen[next(iter(self.seen))]
        return 0.0
