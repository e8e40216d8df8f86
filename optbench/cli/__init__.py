"""The command line: the only package that parses arguments, prints, and exits.

Commands import what they need when they run, so that `--help` is quick and only training loads TensorFlow.
"""

import errno
import logging
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from optbench import __version__
from optbench.cli import (  # noqa: F401  they register their commands
    browse,
    compare,
    confirm,
    datasets,
    docs,
    events,
    export,
    keep,
    launch,
    notify,
    pool,
    queue,
    resume,
    schema,
    serve,
    train,
    worker,
)
from optbench.cli.options import app, data_app, token_app
from optbench.cli.output import console
from optbench.cli.streams import drop_output, open_missing, print_error
from optbench.cli.usage import explain
from optbench.errors import OptbenchError
from optbench.exits import ExitCode, code_of
from optbench.logs import set_up

VERSIONS = ("optuna", "optuna-dashboard", "tensorflow", "keras", "numpy", "scipy", "sqlalchemy")
log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the command line, and exit with a code of exits.py. An error is one line on standard error."""
    open_missing()
    try:
        code = app(_verbose_first(sys.argv[1:]), prog_name="optbench", standalone_mode=False)
        sys.stdout.flush()
    except OptbenchError as problem:
        log.debug("the command ends with an error", exc_info=True)
        print_error(str(problem))
        code = code_of(problem)
    except typer.TyperException as problem:
        code = _refuse(explain(problem))
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        drop_output()
        code = ExitCode.OK
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        code = _refuse("the output cannot be written: no space left on the device")
        drop_output()
    sys.exit(code)


@app.callback(invoke_without_command=True)
def application(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the versions of optbench and its main libraries.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Log to standard error; may also follow the command. OPTBENCH_LOG=debug logs more.",
        ),
    ] = False,
) -> None:
    set_up(verbose)
    if show_version:
        versions = ", ".join(f"{package} {version(package)}" for package in VERSIONS)
        console.print(f"optbench {__version__} (Python {platform.python_version()}, {versions})", markup=False)
        raise typer.Exit
    if context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False)
    else:
        log.info("optbench %s on Python %s: %s", __version__, platform.python_version(), context.invoked_subcommand)


@data_app.callback(invoke_without_command=True)
@token_app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False)


def _verbose_first(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a `--verbose` after the command moved before it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = arguments[:end], arguments[end:]
    others = [argument for argument in options if argument != "--verbose"]
    return [*(["--verbose"] if len(others) < len(options) else []), *others, *rest]


def _refuse(message: str) -> ExitCode:
    print_error(message)
    return ExitCode.REFUSED
