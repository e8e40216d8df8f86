"""What can go wrong that a person can mend. Each message says what was given, what was expected and what to type."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class OptbenchError(Exception):
    """A mistake that one line explains: the command line prints it and exits with 2."""


class DefinitionError(OptbenchError):
    """A sweep definition, or an option of a command, that makes no sense."""


class DataError(OptbenchError):
    """A data set that is unknown, not prepared or not of the expected form."""


class StorageError(OptbenchError):
    """A database that cannot be opened, read or written; `passing` if that may change without anybody's doing."""

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class OutputError(OptbenchError):
    """A file that cannot be written."""


class StudyError(OptbenchError):
    """A study or a trial that does not exist or was made by another definition."""


def nearest(given: str, known: Iterable[str]) -> str:
    """The ending of a message about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    by_case = {name.casefold(): name for name in reversed(names)}
    close = get_close_matches(given.casefold(), by_case, n=1, cutoff=0.6)
    if close:
        return f"did you mean {by_case[close[0]]!r}?"
    return f"known: {', '.join(names)}" if names else "there is none"


@contextmanager
def tolerated(log: logging.Logger, consequence: str, *errors: type[Exception]) -> Iterator[None]:
    """Goes on after one of these errors, and logs it with its consequence: nothing is suppressed without a log line."""
    try:
        yield
    except errors as problem:
        log.info("%s: %s: %s", consequence, type(problem).__name__, problem)
