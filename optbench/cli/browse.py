"""The commands that show studies: studies, show, dashboard. None of them loads TensorFlow."""

import enum
import math
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, ServerUrl, StorageUrl, StudyName, app, opened
from optbench.cli.output import console, print_json
from optbench.errors import DefinitionError
from optbench.scheduler.states import StudyState

if TYPE_CHECKING:
    from optbench.exports.records import Listed


class Order(enum.StrEnum):
    """What `optbench studies --sort` sorts by."""

    MADE = "made"
    NAME = "name"
    BEST = "best"
    CHANGED = "changed"


@app.command()
def studies(
    storage: StorageUrl = DEFAULT_STORAGE,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Only studies with this tag; repeatable.")
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Only studies that this user made.")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="Only studies in this state: done, interrupted, running, waiting, paused..."
        ),
    ] = None,
    sort: Annotated[Order, typer.Option(help="What comes first: the oldest, the first name, the best, the latest.")] = (
        Order.MADE
    ),
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """List studies with their state, trials and best value. Example: optbench studies --state running"""
    from optbench.cli import tables
    from optbench.exports.records import state_of, study_json

    _check_state(state)
    found = [
        (one, place)
        for one, place in _listed(storage, server)
        if set(tag or ()) <= set(one.about.tags)
        and owner in (None, one.about.owner)
        and state in (None, state_of(one, place))
    ]
    found = _sorted(found, sort)
    if as_json:
        print_json([study_json(*one) for one in found])
    else:
        console.print(tables.studies(found))


def _check_state(state: str | None) -> None:
    """Raises DefinitionError unless studies can be in that state."""
    from optbench.storage.candidates import QueueState

    known = list(dict.fromkeys([*map(str, StudyState), *map(str, QueueState)]))
    if state is not None and state not in known:
        raise DefinitionError(f"--state {state}; expected one of {', '.join(known)}")


def _listed(storage: str, server: str | None) -> "list[Listed]":
    """Every study with its place in the queue, oldest first: of the server, if one is given, or the database."""
    from optbench.cli import remote
    from optbench.exports.records import queued
    from optbench.storage import studies as every

    if server is not None:
        return remote.studies(server)
    with opened(storage, read_only=True) as storage_:
        places = queued(storage_)
        return [(one, places.get(one.name)) for one in every(storage_)]


def _sorted(found: "list[Listed]", order: Order) -> "list[Listed]":
    match order:
        case Order.NAME:
            return sorted(found, key=lambda one: one[0].name)
        case Order.BEST:
            return sorted(found, key=lambda one: -math.inf if one[0].best is None else one[0].best, reverse=True)
        case Order.CHANGED:
            return sorted(found, key=lambda one: one[0].changed or datetime.min, reverse=True)
    return found


@app.command()
def show(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option(metavar="N", help="How many trials of each kind to show.")] = 10,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's trials, workers, failures and definition. Example: optbench show quickstart --top 5"""
    from optbench.cli import remote, tables
    from optbench.exports.records import shown

    if top < 1:
        raise DefinitionError(f"--top {top}; expected a whole number of 1 or more")
    if server is not None:
        found = remote.show(server, study)
    else:
        with opened(storage, read_only=True) as storage_:
            found = shown(storage_, study)
    study_, records, workers, place = found
    if as_json:
        print_json(tables.show_json(study_, records, top, workers, place))
    else:
        for part in tables.show(study_, records, top, workers, place):
            console.print(part)


@app.command()
def dashboard(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Listen on this port; 0 takes a free one.", min=0, max=65535)] = 8080,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse requests that would change something.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask browsers for the password in this file.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let everyone in without a password.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the web browser.")] = False,
) -> None:
    """Browse the studies in optuna-dashboard, even while sweeps run. Example: optbench dashboard --port 8081"""
    from optbench.service import LOOPBACK, read_password, serve

    if host not in LOOPBACK and password_file is None and not no_auth:
        raise DefinitionError(
            f"--host {host}: anyone who reaches it could delete studies; expected --password-file FILE or --no-auth"
        )
    password = None if password_file is None else read_password(password_file)

    def ready(url: str) -> None:
        only = ", read-only" if read_only else ""
        console.print(f"optuna-dashboard on {url} (Ctrl-C stops it{only})", markup=False)
        if open_:
            webbrowser.open(url)

    with opened(storage, read_only) as storage_:
        serve(storage_, host, port, ready, read_only, password)
