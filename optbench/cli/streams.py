"""Standard streams that are closed, or that can no longer be written, end no command."""

import io
import os
import sys


def open_missing() -> None:
    """Put the null device in the place of standard streams that the shell closed (`<&-`, `>&-`, `2>&-`).

    Without it Python has None there, and the next file that is opened, a database for example, would get the number
    of a standard stream, to which libraries write. Characters that a terminal cannot show are escaped.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Send what is still to be printed nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_error(line: str) -> None:
    """Print a line on standard error, as far as anybody reads it."""
    try:
        print(f"optbench: {' '.join(line.split())}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
