"""What the commands share: the application, its console, the options that several take, an opened database."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from optbench.storage import Storage

app = typer.Typer(
    help="Sweep optimizers honestly: many small networks trained in one compiled step, studies kept in a database.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Prepare data sets.", rich_markup_mode=None)
app.add_typer(data_app, name="data")
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)  # a pipe has no width to fit

DEFAULT_STORAGE = "sqlite:///storage/optbench.db"
StorageUrl = Annotated[
    str, typer.Option("--storage", metavar="URL", envvar="OPTBENCH_STORAGE", help="The database, as a SQLAlchemy URL.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where tensorflow-datasets keeps its data sets.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name, as `optbench studies` lists it.")]


def print_json(content: Any) -> None:
    """Plain data on standard output, with nothing beside it."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


@contextmanager
def opened(url: str) -> "Iterator[Storage]":
    from optbench.storage import open_storage

    storage = open_storage(url)
    try:
        yield storage
    finally:
        storage.close()
