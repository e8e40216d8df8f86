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
    from optbench.storage import StudyRecord


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
    state: Annotated[StudyState | None, typer.Option(help="Only studies in this state.")] = None,
    sort: Annotated[Order, typer.Option(help="What comes first: the oldest, the first name, the best, the latest.")] = (
        Order.MADE
    ),
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """List studies with their state, trials and best value. Example: optbench studies --state running"""
    from optbench.cli import remote, tables
    from optbench.storage import studies as every

    if server is not None:
        remote.studies(server, tag or [], owner, state, sort, as_json)
        return
    with opened(storage, read_only=True) as storage_:
        records = [
            one
            for one in every(storage_)
            if set(tag or ()) <= set(one.about.tags) and owner in (None, one.about.owner) and state in (None, one.state)
        ]
    records = _sorted(records, sort)
    if as_json:
        print_json([tables.study_json(record) for record in records])
    else:
        console.print(tables.studies(records))


def _sorted(records: "list[StudyRecord]", order: Order) -> "list[StudyRecord]":
    match order:
        case Order.NAME:
            return sorted(records, key=lambda one: one.name)
        case Order.BEST:
            return sorted(records, key=lambda one: -math.inf if one.best is None else one.best, reverse=True)
        case Order.CHANGED:
            return sorted(records, key=lambda one: one.changed or datetime.min, reverse=True)
    return records


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
    from optbench.storage import find_study, study_workers, trials

    if top < 1:
        raise DefinitionError(f"--top {top}; expected a whole number of 1 or more")
    if server is not None:
        remote.show(server, study, top, as_json)
        return
    with opened(storage, read_only=True) as storage_:
        record = find_study(storage_, study)
        records = trials(storage_, record.study_id)
        workers = study_workers(storage_, record.study_id)
    if as_json:
        print_json(tables.show_json(record, records, top, workers))
    else:
        for part in tables.show(record, records, top, workers):
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
