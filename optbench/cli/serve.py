"""The commands serve and token: the service on one machine, and who may use it."""

from pathlib import Path
from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, DataDir, StorageUrl, app, opened, token_app
from optbench.cli.output import console, print_json
from optbench.cli.streams import print_error
from optbench.defaults import user_name
from optbench.errors import DefinitionError

Tokens = Annotated[Path, typer.Option("--tokens", metavar="FILE", help="The file of tokens.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The token's name: of a person or a program.")]


@app.command()
def serve(
    storage: StorageUrl = DEFAULT_STORAGE,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Number of workers to run. [default: 1, or 0 with --read-only]")
    ] = None,
    host: Annotated[str, typer.Option(help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Listen on this port; 0 takes a free one.", min=0, max=65535)] = 8080,
    tokens: Annotated[Path | None, typer.Option(metavar="FILE", help="Require a token from this file.")] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let everyone in without a token.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse requests that would change something.")
    ] = False,
    sweeps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Let definitions name models and data in this folder.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve the queue, its workers, an API and pages on this machine. Example: optbench serve --workers 2"""
    from optbench.service.web.server import Setting, run
    from optbench.service.web.tokens import TokenFile
    from optbench.storage import open_storage

    count = (0 if read_only else 1) if workers is None else workers
    _check(count, host, tokens, no_auth, read_only, sweeps)
    held = None if tokens is None else TokenFile(tokens)
    if held is not None:
        held.tokens()  # refuses a file that cannot be used
    if not read_only:
        open_storage(storage, create=True).close()
    setting = Setting(
        host=host,
        port=port,
        owner=user_name(),
        tokens=held,
        read_only=read_only,
        workers=count,
        worker_options=[] if data_dir is None else [f"--data-dir={data_dir.absolute()}"],
        sweeps=sweeps,
    )
    with opened(storage, read_only) as storage_:
        code = run(storage_, setting, _ready, print_error)
    raise typer.Exit(code)


def _ready(url: str) -> None:
    console.print(f"optbench on {url} (Ctrl-C stops it)", markup=False)


def _check(workers: int, host: str, tokens: Path | None, no_auth: bool, read_only: bool, sweeps: Path | None) -> None:
    """Raise DefinitionError for options that are wrong or exclude each other."""
    from optbench.service import LOOPBACK
    from optbench.worker.bounds import BOUNDS

    most = BOUNDS["workers"][1]
    if not 0 <= workers <= most:
        raise DefinitionError(f"--workers {workers}; expected a whole number from 0 to {most}")
    if read_only and workers:
        raise DefinitionError(f"--workers {workers} with --read-only: workers write; leave one of them out")
    if tokens is not None and no_auth:
        raise DefinitionError("--no-auth with --tokens: leave one of them out")
    if host not in LOOPBACK and tokens is None and not no_auth:
        raise DefinitionError(
            f"--host {host}: anyone who reaches it could change studies; expected --tokens FILE or --no-auth"
        )
    if sweeps is not None and not sweeps.is_dir():
        raise DefinitionError(f"--sweeps {sweeps} is not a folder")


@token_app.command("add")
def add_token(
    name: Name,
    tokens: Tokens,
    scope: Annotated[str, typer.Option(metavar="SCOPE", help="What it is for: read, submit or admin.")] = "read",
    as_json: AsJson = False,
) -> None:
    """Make a token, and print it, once. Example: optbench token add ada --scope submit --tokens tokens.json"""
    from optbench.errors import nearest
    from optbench.service.web.tokens import Scope, TokenFile

    if scope not in list(Scope):
        raise DefinitionError(f"--scope {scope}: no such scope; {nearest(scope, Scope)}")
    secret = TokenFile(tokens).add(name, Scope(scope))
    if as_json:
        print_json({"name": name, "scope": scope, "token": secret})
    else:
        console.print(secret, markup=False, soft_wrap=True)


@token_app.command("list")
def list_tokens(tokens: Tokens, as_json: AsJson = False) -> None:
    """List the tokens, which the file does not hold, by name. Example: optbench token list --tokens tokens.json"""
    from optbench.cli.tables.fitting import Column, Fitted
    from optbench.service.web.tokens import TokenFile

    found = TokenFile(tokens).tokens()
    if as_json:
        print_json([{"name": one.name, "scope": one.scope, "created": one.created.isoformat()} for one in found])
        return
    columns = [
        Column("name", [one.name for one in found], text=True),
        Column("scope", [one.scope for one in found]),
        Column("created", [f"{one.created:%Y-%m-%d}" for one in found]),
    ]
    console.print(Fitted(columns))


@token_app.command("remove")
def remove_token(name: Name, tokens: Tokens) -> None:
    """Remove a token; it ends at once. Example: optbench token remove ada --tokens tokens.json"""
    from optbench.service.web.tokens import TokenFile

    TokenFile(tokens).remove(name)
    console.print(f"token {name!r} is removed", markup=False)
