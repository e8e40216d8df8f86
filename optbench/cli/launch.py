"""The command that writes scripts with which other programs start workers of the pool."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from optbench.choices import ScriptKind
from optbench.cli.options import DEFAULT_STORAGE, AllowCode, DataDir, HeartbeatTimeout, Label, StorageUrl, app
from optbench.cli.train import Retries, SlurmOptions, WorkerCpus, WorkerGpus
from optbench.cli.worker import ExitWhenIdle, Grace, Lifetime
from optbench.defaults import GRACE, HEARTBEAT_TIMEOUT, RETRIES, user_name
from optbench.errors import DefinitionError

ENVIRONMENT = {ScriptKind.SLURM: "~/.config/optbench/env", ScriptKind.SYSTEMD: "/etc/optbench/env"}
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}|\d{1,10}")  # as systemd wants it, and a dot as in many directories
IMAGE = "optbench:latest"
ONLY = {
    "slurm": {ScriptKind.SLURM},
    "environment-file": {ScriptKind.SLURM, ScriptKind.SYSTEMD},
    "image": {ScriptKind.KUBERNETES},
    "secret": {ScriptKind.KUBERNETES},
    "with-url": {ScriptKind.KUBERNETES},
    "data-claim": {ScriptKind.KUBERNETES},
    "user": {ScriptKind.SYSTEMD},
}
"""For which scripts an option is. The others are for all."""


@app.command("launch-script")
def launch_script(
    kind: Annotated[ScriptKind, typer.Argument(metavar="KIND", help="slurm, kubernetes or systemd.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    workers: Annotated[int, typer.Option(metavar="N", help="How many workers.")] = 1,
    worker_cpus: WorkerCpus = 1,
    worker_gpus: WorkerGpus = 0,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory for each worker, for example 4G.")] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="The name of the job, the unit or the objects.")
    ] = "optbench-worker",
    label: Label = None,
    exit_when_idle: ExitWhenIdle = None,
    lifetime: Lifetime = None,
    grace: Grace = GRACE,
    heartbeat_timeout: HeartbeatTimeout = HEARTBEAT_TIMEOUT,
    retries: Retries = RETRIES,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    slurm: SlurmOptions = None,
    environment_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Slurm, systemd: the worker's file that sets OPTBENCH_STORAGE."),
    ] = None,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Kubernetes: the image that has optbench.")] = None,
    secret: Annotated[str | None, typer.Option(metavar="NAME", help="Kubernetes: the secret with the URL.")] = None,
    with_url: Annotated[
        bool, typer.Option("--with-url", help="Kubernetes: print the secret, too, with this database's URL.")
    ] = False,
    data_claim: Annotated[
        str | None, typer.Option(metavar="NAME", help="Kubernetes: the volume claim to mount at --data-dir.")
    ] = None,
    run_as: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="systemd: the user who runs the workers. [default: you]"),
    ] = None,
) -> None:
    """Print a script that starts workers of the queue elsewhere. Example: optbench launch-script slurm --workers 8"""
    from optbench.launchers.engines import check_shared, check_workers
    from optbench.launchers.pool_options import PoolOptions
    from optbench.launchers.scripts import Script, render
    from optbench.launchers.slurm import check_slurm, split_slurm

    given = {
        "slurm": slurm, "environment-file": environment_file, "image": image, "secret": secret,
        "with-url": with_url or None, "data-claim": data_claim, "user": run_as,
    }  # fmt: skip
    _check_kind(kind, given)
    check_slurm(split_slurm(slurm))
    check_workers(workers, worker_cpus, worker_gpus)
    if kind is not ScriptKind.SYSTEMD and (storage != DEFAULT_STORAGE or with_url):
        check_shared(storage, "--with-url" if with_url else kind)
    _check_systemd(kind, environment_file, run_as)
    options = PoolOptions(
        label=label, exit_when_idle=exit_when_idle, lifetime=lifetime, grace=grace,
        heartbeat_timeout=heartbeat_timeout, retries=retries, data_dir=data_dir, allow_code=allow_code,
    )  # fmt: skip
    script = Script(
        kind=kind, workers=workers, cpus=worker_cpus, gpus=worker_gpus, memory=memory, name=name, options=options,
        slurm=split_slurm(slurm), environment_file=_environment_file(kind, environment_file), image=image or IMAGE,
        secret=secret or Script.secret, url=storage if with_url else None, claim=data_claim, user=run_as or user_name(),
    )  # fmt: skip
    print(render(script), end="")


def _check_kind(kind: ScriptKind, given: Mapping[str, object]) -> None:
    """Raises DefinitionError for an option that is for another kind of script."""
    for option, value in given.items():
        if value is not None and kind not in ONLY[option]:
            raise DefinitionError(f"--{option} is for {' and '.join(sorted(ONLY[option]))}; leave it out for {kind}")


def _check_systemd(kind: ScriptKind, environment_file: str | None, user: str | None) -> None:
    """Raises DefinitionError for what systemd would refuse in a unit."""
    if kind is ScriptKind.SYSTEMD and environment_file is not None and not environment_file.startswith("/"):
        raise DefinitionError(f"--environment-file {environment_file}; expected a path that begins with / for systemd")
    if user is not None and not USER.fullmatch(user):
        raise DefinitionError(
            f"--user {user[:80]!r}; expected the name of a user: letters, digits, _ and -, or a number"
        )


def _environment_file(kind: ScriptKind, given: str | None) -> str:
    """The path of the file, without ~: a shell does not expand it in quotes."""
    path = given or ENVIRONMENT.get(kind, "")
    return str(Path(path).expanduser()) if kind is ScriptKind.SLURM else path
