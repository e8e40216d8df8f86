"""Shared by all commands: the application, common options, and an open database."""

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from optbench.cli.streams import print_error
from optbench.defaults import STORAGE, STORAGE_VARIABLE, storage_url
from optbench.errors import DefinitionError, OptbenchError

if TYPE_CHECKING:
    from optbench.storage import Storage

log = logging.getLogger(__name__)

ORDER = (
    "sweep", "confirm", "compare", "report", "studies", "show", "resume", "finals", "export", "replay", "dashboard",
    "submit", "worker", "launch-script", "serve", "token", "queue", "workers", "log", "pause", "stop", "priority",
    "drain", "notify",
    "data", "docs", "schema", "doctor", "backup", "copy", "rename", "upgrade", "delete",
)  # fmt: skip


class ByUse(TyperGroup):
    """Lists the commands in the order in which people need them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    cls=ByUse,
    help="Sweep the hyperparameters of optimizers, and compare the optimizers with honest statistics.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at data sets, and prepare them.", rich_markup_mode=None)
app.add_typer(data_app, name="data")
token_app = typer.Typer(help="Make and remove the tokens of `optbench serve`.", rich_markup_mode=None)
app.add_typer(token_app, name="token")


def _one_source(context: typer.Context, server: str | None) -> str | None:
    """The server, unless the database was typed and the server comes from OPTBENCH_SERVER."""
    typed = [name for name in ("server", "storage") if _was_typed(context, name)]
    if len(typed) > 1:
        raise DefinitionError(f"--server {server} and --storage; leave one of them out")
    return None if typed == ["storage"] else server


def _was_typed(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


DEFAULT_STORAGE = STORAGE
StorageUrl = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar=STORAGE_VARIABLE,
        is_eager=True,  # read before --server, which asks whether it was typed
        help="Use the database at this SQLAlchemy URL.",
    ),
]
ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="OPTBENCH_SERVER",
        callback=_one_source,
        help="Use this `optbench serve` and OPTBENCH_TOKEN, not a database. [default: none]",
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Run a model's function as the database holds it where its file is missing or differs."
    ),
]
HeartbeatTimeout = Annotated[
    int, typer.Option(metavar="SECONDS", help="A worker counts as dead once its last heartbeat is older.")
]
Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", help="Start no more trials after this time.")]
Drain = Annotated[
    bool, typer.Option("--drain", help="Let running trials finish after Ctrl-C. A second Ctrl-C ends them.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Find data sets here, not in ~/tensorflow_datasets; files that moved, too."
    ),
]


def _label(label: str | None) -> str | None:
    """The label. Raises DefinitionError for one that no database holds."""
    from optbench.worker.bounds import LONGEST_LABEL, is_label

    if label is not None and not is_label(label):
        raise DefinitionError(f"--label {label!r}; expected 1 to {LONGEST_LABEL} printable characters")
    return label


Label = Annotated[
    str | None,
    typer.Option(metavar="LABEL", help="Only workers with this label take studies with this label.", callback=_label),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag for the study; repeatable.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A note for the study.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]


def complete_study(begun: str) -> list[str]:
    """The studies in the default database whose names begin with this, for completion in the shell.

    Empty if the database cannot be read.
    """
    from optbench.storage import open_storage, studies

    try:
        storage = open_storage(storage_url(), read_only=True)
        return [study.name for study in studies(storage) if study.name.startswith(begun)]
    except OptbenchError as problem:
        log.info("no study can be completed: %s", problem)
        return []


StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="The study's name, as `optbench studies` lists it.", autocompletion=complete_study
    ),
]
Studies = Annotated[
    list[str],
    typer.Argument(metavar="STUDY...", help="The studies, one or several.", autocompletion=complete_study),
]


@contextmanager
def opened(url: str, read_only: bool = False) -> "Iterator[Storage]":
    """The open database, which is closed after the `with` block. If `read_only` is true, nothing is written."""
    from optbench.storage import open_storage, shown

    logging.getLogger("optuna").setLevel(logging.WARNING)  # after its import, which sets a level
    storage = open_storage(url, read_only=read_only)
    log.info("opened %s", shown(storage.url))
    try:
        yield storage
    finally:
        storage.close()


def trial_number(study: str, given: str) -> int | None:
    """The number of the trial; None for `best`. Raises DefinitionError."""
    if given == "best":
        return None
    if not (given.isascii() and given.isdecimal()):
        raise DefinitionError(
            f"trial {given[:80]!r} is not a number; `optbench show {shlex.quote(study)}` lists the trials, "
            "and `best` names the best one"
        )
    return int(given)


def place(url: str) -> str:
    """The --storage option that another command needs to use this database; empty if it is the default one."""
    from optbench.storage import shown
    from optbench.storage.check import parse_url

    here = storage_url()
    return "" if url == here else f" --storage {shlex.quote(shown(parse_url(url)))}"


def refresh(storage: "Storage", study: str, verdict: Sequence[str] | None = None, figures: Any = None) -> None:
    """Bring the study's page in optuna-dashboard up to date. If that fails, only print a line."""
    from optbench.service import refresh as refresh_page
    from optbench.storage import find_study

    try:
        refresh_page(storage, find_study(storage, study), verdict, figures)
    except OptbenchError as problem:
        print_error(f"the dashboard does not show this yet: {problem}")
