"""Sets up logging to standard error or to a file, for commands and worker processes."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from optbench.errors import DefinitionError

VARIABLE = "OPTBENCH_LOG"
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
TERSE = "optbench: %(message)s"
DETAILED = "%(asctime)s %(levelname)s %(name)s[%(process)d]: %(message)s"
OTHERS = ("sqlalchemy.pool", "waitress")  # optbench itself reports lost connections, and full queues are harmless


class StandardError(logging.Handler):
    """Writes to the current sys.stderr, which a live view replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # standard error has no reader, so there is nowhere to report that
            print(self.format(record), file=sys.stderr, flush=True)


def set_up(verbose: bool = False) -> None:
    """Log from the level of `--verbose` (info) or OPTBENCH_LOG=LEVEL[:FILE], by default from warning.

    Processes that this one starts log in the same way. Raises DefinitionError.
    """
    given = os.environ.get(VARIABLE) or "warning"
    name, _, file = given.partition(":")
    if name not in LEVELS:
        raise DefinitionError(
            f"{VARIABLE}={given}; expected debug, info or warning, optionally with a file, for example debug:run.log"
        )
    if verbose and LEVELS[name] > logging.INFO:
        name = "info"
        os.environ[VARIABLE] = f"info:{file}" if file else "info"
    handler: logging.Handler = StandardError()
    if file:
        try:
            handler = logging.FileHandler(Path(file), encoding="utf-8")
        except OSError as problem:
            raise DefinitionError(f"{VARIABLE}={given}: {file} cannot be written: {problem.strerror}") from problem
    handler.setFormatter(logging.Formatter(TERSE if LEVELS[name] == logging.WARNING and not file else DETAILED))
    ours = logging.getLogger("optbench")
    ours.handlers = [handler]
    ours.setLevel(LEVELS[name])
    ours.propagate = False
    for other in OTHERS:
        logging.getLogger(other).setLevel(logging.CRITICAL)
