"""The commands that read: studies, show, dashboard. None of them loads TensorFlow."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, StorageUrl, StudyName, app, opened
from optbench.cli.output import console, print_json
from optbench.errors import DefinitionError


@app.command()
def studies(storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """List every study: its state, its trials by state, its best value. Example: optbench studies"""
    from optbench.cli import tables
    from optbench.storage import studies as every

    with opened(storage) as storage_:
        records = every(storage_)
    if as_json:
        print_json([tables.study_json(record) for record in records])
    else:
        console.print(tables.studies(records, console.width))


@app.command()
def show(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option(metavar="N", help="How many trials.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show a study's best trials, its definition and its versions. Example: optbench show quickstart --top 5"""
    from optbench.cli import tables
    from optbench.storage import find_study, trials

    if top < 1:
        raise DefinitionError(f"--top {top}; expected a whole number of at least 1")
    with opened(storage) as storage_:
        record = find_study(storage_, study)
        records = trials(storage_, record.study_id)
    if as_json:
        print_json(tables.show_json(record, records, top))
    else:
        for part in tables.show(record, records, top):
            console.print(part)


@app.command()
def dashboard(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0: any.", min=0, max=65535)] = 8080,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse whatever would change something.")] = False,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the password that browsers are asked for.")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let others in without a password.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Browse the studies in optuna-dashboard, also while sweeps run. Example: optbench dashboard --port 8081"""
    from optbench.dashboard import LOOPBACK, read_password, serve

    if host not in LOOPBACK and password_file is None and not no_auth:
        raise DefinitionError(
            f"--host {host}: whoever reaches it could delete studies; expected --password-file FILE, or --no-auth"
        )
    password = None if password_file is None else read_password(password_file)

    def ready(url: str) -> None:
        only = ", read-only" if read_only else ""
        console.print(f"optuna-dashboard on {url} (Ctrl-C ends it{only})", markup=False)
        if open_:
            webbrowser.open(url)

    with opened(storage) as storage_:
        serve(storage_, host, port, ready, read_only, password)
