"""The command line: the only place that parses, prints, exits or sets what concerns the whole process.

Commands import what they need when they run, so that `--help` is quick and only training loads TensorFlow.
"""

import errno
import io
import logging
import os
import sys
from typing import Any, NoReturn

import typer

from optbench.cli import browse, compare, confirm, docs, export, keep, train  # noqa: F401  they register their commands
from optbench.cli.options import app
from optbench.errors import OptbenchError

CHATTER = ("sqlalchemy.pool", "waitress")  # a lost connection is told in our own words, a full queue not at all


def main() -> NoReturn:
    """Run the command line: exits with 0, 1 (something differs), 2 (bad input, in one line), 130 or 143 (stopped)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that a terminal cannot show must not end a sweep
            stream.reconfigure(errors="backslashreplace")
    for talker in CHATTER:
        logging.getLogger(talker).setLevel(logging.CRITICAL)
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except OptbenchError as problem:
        code = _refuse(str(problem))
    except typer.TyperException as problem:
        message = problem.format_message() if hasattr(problem, "format_message") else str(problem)
        code = _refuse(f"{message.rstrip('.')}; type `{_command(getattr(problem, 'ctx', None))} --help`")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        code = _drop_output(0)
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        code = _drop_output(_refuse("the output cannot be written: no space left; expected room for it"))
    sys.exit(code)


def _command(context: Any) -> str:
    """The command that was being read, as it is typed."""
    words: list[str] = []
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    return " ".join(["optbench", *words])


def _drop_output(code: int) -> int:
    """What is still to be printed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _refuse(message: str) -> int:
    print(f"optbench: {' '.join(message.split())}", file=sys.stderr)
    return 2
