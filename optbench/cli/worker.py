"""The command that starts a worker of the pool. It stays light: the worker itself is a process of its own."""

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.choices import Engine
from optbench.cli.options import DEFAULT_STORAGE, AllowCode, DataDir, HeartbeatTimeout, Label, StorageUrl, app
from optbench.cli.streams import print_error
from optbench.cli.train import Retries, WorkerCpus, WorkerGpus, check_local, placement
from optbench.defaults import GRACE, HEARTBEAT_TIMEOUT, RETRIES
from optbench.errors import DefinitionError, StorageError
from optbench.exits import after_signal
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.launchers.pool_options import PoolOptions

log = logging.getLogger(__name__)
ExitWhenIdle = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Exit after this many seconds without work.")
]
Lifetime = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="After this many seconds, start no trial, and exit when the running ones finish."
    ),
]
Grace = Annotated[float, typer.Option(metavar="SECONDS", help="How long running trials may go on after SIGTERM.")]


@app.command()
def worker(
    storage: StorageUrl = DEFAULT_STORAGE,
    label: Label = None,
    cores: Annotated[int | None, typer.Option(metavar="N", help="Number of cores to use. [default: all]")] = None,
    exit_when_idle: ExitWhenIdle = None,
    lifetime: Lifetime = None,
    grace: Grace = GRACE,
    heartbeat_timeout: HeartbeatTimeout = HEARTBEAT_TIMEOUT,
    retries: Retries = RETRIES,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    on: Annotated[Engine, typer.Option("--on", metavar="<local|ray>", help="What starts it.")] = Engine.LOCAL,
    workers: Annotated[int, typer.Option(metavar="N", help="How many, on a Ray cluster.")] = 1,
    worker_cpus: WorkerCpus = 1,
    worker_gpus: WorkerGpus = 0,
) -> None:
    """Take study after study from the queue, until Ctrl-C. Example: optbench worker --exit-when-idle 60"""
    from optbench.launchers.pool_options import PoolOptions
    from optbench.launchers.supervisor import Supervisor, pool_command
    from optbench.worker.bounds import check_counts

    options = PoolOptions(
        label=label,
        exit_when_idle=exit_when_idle,
        lifetime=lifetime,
        grace=grace,
        heartbeat_timeout=heartbeat_timeout,
        retries=retries,
        data_dir=None if data_dir is None else data_dir.absolute(),
        allow_code=allow_code,
    )
    check_counts(flags=True, cores=cores)
    options.check()
    if on is not Engine.LOCAL:
        if cores is not None:
            raise DefinitionError("--cores is for a worker here; --worker-cpus says what each one on the cluster gets")
        _on_cluster(storage, on, (workers, worker_cpus, worker_gpus), options)
        return
    if workers != 1:
        raise DefinitionError("--workers is for --on ray; start the command again for one more worker here")
    check_local(worker_cpus, worker_gpus, None)
    _check_database(storage)
    environment = {"OPTBENCH_STORAGE": storage} | ({} if cores is None else {"OPTBENCH_CORES": str(cores)})
    code = Supervisor(pool_command(options.words()), environment, print_error, lifetime=lifetime).run()
    raise typer.Exit(code)


def _check_database(storage: str) -> None:
    """Raises StorageError for a database that cannot be used; one that does not answer for now is waited for.

    A service manager would not start a worker again that is refused only because the database starts later than it.
    """
    from optbench.storage import open_storage

    try:
        open_storage(storage, create=True).close()
    except StorageError as problem:
        if not problem.passing:
            raise
        log.info("the worker waits for the database: %s", problem)


def _on_cluster(storage: str, on: Engine, given: tuple[int, int, int], options: "PoolOptions") -> None:
    """Starts so many workers with so many cores and GPUs each, and returns once all have ended."""
    from optbench.launchers.cluster import run_pool
    from optbench.launchers.engines import check_shared
    from optbench.storage import open_storage

    if on is Engine.SLURM:
        raise DefinitionError("--on slurm: `optbench launch-script slurm | sbatch` starts workers of the pool there")
    check_shared(storage, f"--on {on}")
    where = placement(on, *given, None)
    cluster = where.cluster(storage, "worker")
    try:
        cluster.check()
        open_storage(storage, create=True).close()
        with Stop(drain=True) as stop:
            run_pool(cluster, options, stop, print_error)
    finally:
        cluster.close()
    if stop.signal is not None:
        raise typer.Exit(after_signal(stop.signal))
