"""The command that starts a worker of the pool. It stays light: the worker itself is a process of its own."""

from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AllowCode, DataDir, HeartbeatTimeout, Label, StorageUrl, app
from optbench.cli.streams import print_error
from optbench.errors import DefinitionError


@app.command()
def worker(
    storage: StorageUrl = DEFAULT_STORAGE,
    label: Label = None,
    cores: Annotated[int | None, typer.Option(metavar="N", help="Use so many cores. [default: all]")] = None,
    exit_when_idle: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so long without a study.")
    ] = None,
    lifetime: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Start no trial after so long, and end with the last one.")
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long running trials may go on after SIGTERM.")
    ] = 20.0,
    heartbeat_timeout: HeartbeatTimeout = 60,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
) -> None:
    """Take study after study from the queue, until Ctrl-C. Example: optbench worker --exit-when-idle 60"""
    from optbench.launchers.supervisor import Supervisor, pool_command
    from optbench.storage import open_storage
    from optbench.worker.bounds import check_counts

    check_counts(flags=True, cores=cores, heartbeat_timeout=heartbeat_timeout)
    seconds = {"exit-when-idle": exit_when_idle, "lifetime": lifetime, "grace": grace}
    for option, given in seconds.items():
        if given is not None and not 0 <= given < float("inf"):
            raise DefinitionError(f"--{option} {given:g}; expected seconds, 0 or more")
    open_storage(storage, create=True).close()
    folder = None if data_dir is None else data_dir.absolute()
    options = {**seconds, "label": label, "data-dir": folder, "heartbeat-timeout": heartbeat_timeout}
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    environment = {"OPTBENCH_STORAGE": storage} | ({} if cores is None else {"OPTBENCH_CORES": str(cores)})
    flags = ["--allow-code"] if allow_code else []
    code = Supervisor(pool_command([*words, *flags]), environment, print_error).run()
    raise typer.Exit(code)
