"""The commands that show and drain the workers of the pool. None loads TensorFlow."""

from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, ServerUrl, StorageUrl, app, opened
from optbench.cli.output import console, print_answer, print_json
from optbench.defaults import user_name


@app.command()
def workers(storage: StorageUrl = DEFAULT_STORAGE, server: ServerUrl = None, as_json: AsJson = False) -> None:
    """List the workers that take studies from the queue. Example: optbench workers --json"""
    from optbench.cli import remote, tables
    from optbench.storage.pool import pool_workers

    if server is not None:
        found = remote.workers(server)
    else:
        with opened(storage, read_only=True) as storage_:
            found = pool_workers(storage_)
    if as_json:
        print_json([tables.pool_json(one) for one in found])
    else:
        console.print(tables.pool(found))


@app.command()
def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="The worker's name in `optbench workers`.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let a worker of the pool finish its running trials and end. Example: optbench drain gpu1-4711-0a1b2c3d"""
    from optbench.cli import remote
    from optbench.storage.pool import drain as ask

    if server is not None:
        remote.drain(server, worker)
    else:
        with opened(storage) as storage_:
            ask(storage_, worker, user_name())
    said = f"worker {worker!r} finishes its running trials and ends"
    print_answer({"worker": worker, "draining": True}, said, as_json)
