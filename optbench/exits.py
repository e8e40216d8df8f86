"""The exit codes of commands and workers. Whatever starts workers decides by them whether to start one again."""

from enum import IntEnum

from optbench.errors import OptbenchError


class ExitCode(IntEnum):
    """How a command or a worker ended. After a signal it is 128 plus the signal's number, as in a shell."""

    OK = 0
    DIFFERS = 1  # or something was left undone
    REFUSED = 2  # one line says why, and the same command would be refused again
    UNREACHABLE = 3  # the database, the server, Slurm or Ray does not answer now; the same command may work later
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


STOPPED = (ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED)
FINAL = (ExitCode.OK, ExitCode.REFUSED, *STOPPED)
"""After these a worker is not started again. After all others it crashed, or the database did not answer."""


def after_signal(number: int) -> int:
    """The exit code after the signal of that number."""
    return 128 + number


def code_of(problem: OptbenchError) -> ExitCode:
    """The exit code of what ends with this problem."""
    return ExitCode.UNREACHABLE if problem.passing else ExitCode.REFUSED
