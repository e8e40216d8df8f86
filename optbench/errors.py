"""Errors that the user can correct. Each message says what was given, what was expected and what to type."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class OptbenchError(Exception):
    """A mistake that one line explains: the command line prints it, and exits as `exits.code_of` says.

    `passing` means that trying again later may help, without any change.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class DefinitionError(OptbenchError):
    """A sweep definition, or an option of a command, is invalid."""


class DataError(OptbenchError):
    """A data set is unknown, not prepared, or not of the expected form."""


class NotPreparedError(DataError):
    """A data set is not on this machine, or cannot be read there, where another machine may have it."""


class StorageError(OptbenchError):
    """A database cannot be opened, read or written."""


class OutputError(OptbenchError):
    """A file, or what another program keeps, cannot be written."""


class StudyError(OptbenchError):
    """A study or a trial does not exist, or does not allow what was asked for."""


class NameTakenError(StudyError):
    """A study of that name is there, with another definition."""


class TotalError(StudyError):
    """A study cannot have this total of trials now."""


class CrashedError(StudyError):
    """Trials of a study crashed their workers too often."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: "1 trial", "2 trials"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known name, or all of them."""
    names = sorted(map(str, known))  # those of an enum, too
    by_case = {name.casefold(): name for name in reversed(names)}
    close = get_close_matches(given.casefold(), by_case, n=1, cutoff=0.6)
    if close:
        return f"did you mean {by_case[close[0]]!r}?"
    return f"known: {', '.join(names)}" if names else "there is none"


@contextmanager
def tolerated(log: logging.Logger, consequence: str, *errors: type[Exception]) -> Iterator[None]:
    """Suppresses these errors, and logs each with its consequence."""
    try:
        yield
    except errors as problem:
        log.info("%s: %s: %s", consequence, type(problem).__name__, problem)
