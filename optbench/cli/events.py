"""The command that shows the log of what happened to studies and workers. It loads no TensorFlow."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, ServerUrl, StorageUrl, app, opened
from optbench.cli.output import console, print_json
from optbench.errors import DefinitionError
from optbench.exits import after_signal
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.storage.event_log import EventRecord

    Look = Callable[[int | None], Sequence[EventRecord]]

FOLLOWING = 1.0  # seconds between two looks at the log


@app.command()
def log(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Only what happened to this study.")] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    lines: Annotated[int, typer.Option(metavar="N", help="How many of the newest events to show.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new events, until Ctrl-C.")] = False,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to studies and workers, newest last. Example: optbench log quickstart --follow"""
    from optbench.cli import tables
    from optbench.worker.bounds import check_counts

    check_counts(flags=True, lines=lines)
    if follow and as_json:
        raise DefinitionError("--follow prints lines, and --json one list; leave one of them out")
    with _log(storage, server, study, lines) as look, Stop() as stop:
        found = look(None)
        if as_json:
            print_json([tables.event_json(one) for one in found])
            return
        newest = 0
        while True:
            for one in found:
                console.print(tables.event(one), markup=False, soft_wrap=True)
                newest = one.id
            if not follow or stop():
                break
            time.sleep(FOLLOWING)
            found = look(newest)
    if stop.signal is not None:
        raise typer.Exit(after_signal(stop.signal))


@contextmanager
def _log(storage: str, server: str | None, study: str | None, lines: int) -> "Iterator[Look]":
    """A function that returns the newest events, or the next ones after an id: of the server or the database."""
    from optbench.cli import remote
    from optbench.storage import find_study
    from optbench.storage.event_log import recent_events

    if server is not None:
        yield lambda after: remote.events(server, study, lines, after)
        return
    with opened(storage, read_only=True) as storage_:
        if study is not None:
            find_study(storage_, study)
        yield lambda after: recent_events(storage_, study, lines, after=after)
