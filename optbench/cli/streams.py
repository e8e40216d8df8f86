"""Keeps a command running when a standard stream is closed or its reader has gone."""

import io
import os
import sys


def open_missing() -> None:
    """Replace standard streams that the shell closed (`<&-`, `>&-`, `2>&-`) by the null device.

    Otherwise Python has None there, and the next file that is opened, for example a database, gets the number of a
    standard stream, to which libraries write. Also escape characters that the terminal cannot show.
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
    """Discard everything that is still printed on standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_error(line: str) -> None:
    """Print a message in one line on standard error. If nobody reads it, discard what follows."""
    try:
        print(f"optbench: {' '.join(line.split())}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
