"""Tokens: who may use the server, and for what. The file holds only their hashes, and only its owner can read it."""

import enum
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from optbench.errors import DefinitionError, OutputError, nearest
from optbench.files import write
from optbench.service.secret_files import private_state

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
PREFIX = "optbench_"  # so that programs that look for secrets in repositories find them
VERSION = 1


class Scope(enum.StrEnum):
    """What a token is for. Each scope includes those before it."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Whether who has this scope may do what `other` is for."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is kept of a token. A token has 256 random bits, so that a fast hash without salt is enough."""

    name: str
    scope: Scope
    sha256: str
    created: datetime


class TokenFile:
    """The tokens in a file, which is read again when it changes, so that a removed token ends at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._tokens: Sequence[Token] = ()

    def tokens(self) -> Sequence[Token]:
        """Every token, by name. Raises DefinitionError if the file is missing or damaged, or others can read it."""
        try:
            found = private_state(self.path, f"--tokens {self.path}")
            state = found.st_ino, found.st_mtime_ns, found.st_size
            if state != self._state:
                self._tokens, self._state = _parse(self.path.read_text(encoding="utf-8"), self.path), state
        except (OSError, UnicodeDecodeError) as problem:
            raise DefinitionError(
                f"--tokens {self.path}: cannot be read; `optbench token add NAME --tokens FILE` makes such a file"
            ) from problem
        return self._tokens

    def find(self, secret: str) -> Token | None:
        """The token with that secret. Raises DefinitionError. Takes the same time whichever token it is."""
        digest, found = _digest(secret), None
        for token in self.tokens():
            if hmac.compare_digest(digest, token.sha256):
                found = token
        return found

    def holds(self, token: Token) -> bool:
        """Whether the token has not been removed. Raises DefinitionError."""
        return token in self.tokens()

    def add(self, name: str, scope: Scope) -> str:
        """The secret of a new token, which is kept nowhere. Raises DefinitionError and OutputError."""
        if not NAME.fullmatch(name):
            raise DefinitionError(
                f"token {name[:40]!r}: expected a name of 1 to 100 letters, digits and . _ @ -, for example ada"
            )
        with _locked(self.path):
            tokens = list(self.tokens()) if self.path.exists() else []
            if any(token.name == name for token in tokens):
                raise DefinitionError(f"token {name!r} is there already; remove it first, or choose another name")
            secret = PREFIX + secrets.token_urlsafe(32)
            now = datetime.now(UTC).replace(microsecond=0)
            tokens.append(Token(name=name, scope=scope, sha256=_digest(secret), created=now))
            self._write(tokens)
        return secret

    def remove(self, name: str) -> None:
        """Remove the token of that name. Raises DefinitionError and OutputError."""
        with _locked(self.path):
            tokens = self.tokens()
            if all(token.name != name for token in tokens):
                raise DefinitionError(f"there is no token {name!r}; {nearest(name, (one.name for one in tokens))}")
            self._write([token for token in tokens if token.name != name])

    def _write(self, tokens: Sequence[Token]) -> None:
        plain = [
            {"name": one.name, "scope": one.scope, "sha256": one.sha256, "created": one.created.isoformat()}
            for one in sorted(tokens, key=lambda one: one.name)
        ]
        write(json.dumps({"version": VERSION, "tokens": plain}, indent=2).encode() + b"\n", self.path, private=True)


def _parse(text: str, path: Path) -> list[Token]:
    try:
        held = json.loads(text)
        if held["version"] != VERSION:
            raise DefinitionError(f"--tokens {path}: was written by a newer optbench; expected version {VERSION}")
        return [
            Token(
                name=str(one["name"]),
                scope=Scope(one["scope"]),
                sha256=str(one["sha256"]),
                created=datetime.fromisoformat(one["created"]),
            )
            for one in held["tokens"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise DefinitionError(
            f"--tokens {path}: is not a file of tokens; `optbench token add NAME --tokens FILE` makes one"
        ) from problem


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process at a time change the files of the folder. Raises OutputError if there is no such folder."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as problem:
        raise OutputError(f"{path} cannot be written: {problem.strerror}; choose another file") from problem
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
