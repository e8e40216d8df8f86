"""The commands that read: studies, show, export, dashboard. None of them loads TensorFlow."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from optbench import __version__
from optbench.cli.options import DEFAULT_STORAGE, AsJson, StorageUrl, StudyName, app, console, data_app, opened
from optbench.errors import DefinitionError, nearest


@app.command()
def studies(storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """List every study: its state, its trials by state, its best value. Example: optbench studies"""
    from optbench.cli import tables
    from optbench.storage import studies as every

    with opened(storage) as storage_:
        records = every(storage_)
    if as_json:
        _print_json([tables.study_json(record) for record in records])
    else:
        console.print(tables.studies(records))


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
        ranked = tables.ranked(record, trials(storage_, record.study_id))[:top]
    if as_json:
        _print_json(tables.study_json(record) | {"top": [tables.trial_json(trial) for trial in ranked]})
    else:
        for part in tables.show(record, ranked):
            console.print(part)


@app.command()
def export(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    trial: Annotated[int | None, typer.Option(metavar="N", help="A trial. [default: the best complete one]")] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="json, toml (a sweep) or keras.")] = "json",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A file. [default: print]")
    ] = None,
) -> None:
    """Write a configuration as a file. Example: optbench export quickstart --format keras -o optimizer.json"""
    from optbench.export import FORMATS, choose, write
    from optbench.storage import find_study, trials

    if form not in FORMATS:
        raise DefinitionError(f"--format {form}: no such format; {nearest(form, FORMATS)}")
    with opened(storage) as storage_:
        record = find_study(storage_, study)
        chosen = choose(record, trials(storage_, record.study_id), trial)
    text = FORMATS[form](record, chosen)
    if output is None:
        sys.stdout.write(text)
    else:
        write(text, output)
        console.print(f"trial {chosen.number} of {study!r} written to {output}", markup=False, soft_wrap=True)


@app.command()
def dashboard(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[
        str, typer.Option(help="The address to listen on; whoever reaches it can delete studies.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Browse the studies in optuna-dashboard, also while sweeps run. Example: optbench dashboard --port 8081"""
    from optbench.dashboard import serve

    with opened(storage) as storage_:
        serve(
            storage_, host, port, lambda url: console.print(f"optuna-dashboard on {url} (Ctrl-C ends it)", markup=False)
        )


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    ask: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if ask:
        console.print(f"optbench {__version__}")
    elif context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False)


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False)


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
