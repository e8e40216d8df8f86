"""The commands that train: sweep and replay. They load TensorFlow when they run."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.choices import Engine, TrainerName
from optbench.cli.options import (
    DEFAULT_STORAGE,
    AllowCode,
    AsJson,
    DataDir,
    Drain,
    HeartbeatTimeout,
    Note,
    StorageUrl,
    StudyName,
    Tags,
    Timeout,
    app,
    opened,
    trial_number,
)
from optbench.cli.output import console, print_json
from optbench.defaults import HEARTBEAT_TIMEOUT, RETRIES, user_name
from optbench.errors import DefinitionError
from optbench.exits import ExitCode
from optbench.scheduler.states import Metric
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.definition.sweep import Sweep
    from optbench.launchers.cluster import Placement
    from optbench.launchers.requests import Outcome, Request
    from optbench.worker.creation import Relations
    from optbench.worker.screens import Screen


def complete_sweep(begun: str) -> list[str]:
    """The shipped definitions whose names begin with this, for completion in the shell."""
    from optbench.definition import shipped

    return sorted(path.stem for path in shipped().glob(f"{begun}*.toml"))


SweepName = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", help="A TOML file, or the name of a definition in sweeps/.", autocompletion=complete_sweep
    ),
]
Retries = Annotated[
    int, typer.Option(metavar="N", help="How often to try parameters again after they crashed a worker.")
]
Repeat = Annotated[
    int, typer.Option(metavar="R", help="Run it R times with different seeds, as the studies NAME/1 to NAME/R.")
]


On = Annotated[Engine, typer.Option("--on", help="What starts the workers: local, ray or slurm.")]
WorkerCpus = Annotated[int, typer.Option("--worker-cpus", metavar="N", help="Cores for each worker elsewhere.")]
WorkerGpus = Annotated[int, typer.Option("--worker-gpus", metavar="N", help="GPUs for each worker elsewhere.")]
SlurmOptions = Annotated[
    str | None, typer.Option("--slurm", metavar="OPTIONS", help='Options of sbatch, for example "--time=4:00:00".')
]


@app.command()
def sweep(
    name: SweepName,
    storage: StorageUrl = DEFAULT_STORAGE,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The study's name. [default: the sweep's]")] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial that is not pruned.")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 1 per core]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The seed of everything random.")] = None,
    data_dir: DataDir = None,
    timeout: Timeout = None,
    drain: Drain = False,
    trainer: Annotated[
        str, typer.Option(metavar="NAME", help="lanes, or reference: stock Keras.")
    ] = TrainerName.LANES.value,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the study and the cores.")] = 1,
    heartbeat_timeout: HeartbeatTimeout = HEARTBEAT_TIMEOUT,
    retries: Retries = RETRIES,
    repeat: Repeat = 1,
    tag: Tags = None,
    note: Note = None,
    on: On = Engine.LOCAL,
    worker_cpus: WorkerCpus = 1,
    worker_gpus: WorkerGpus = 0,
    slurm: SlurmOptions = None,
    as_json: AsJson = False,
) -> None:
    """Run, join or continue a study, up to its total number of trials. Example: optbench sweep quickstart"""
    from optbench.cli.running import print_studies, run_all
    from optbench.launchers.requests import Request
    from optbench.storage.about import About, check_about
    from optbench.worker.bounds import check_counts, check_training
    from optbench.worker.session import Options

    local = on is Engine.LOCAL
    check_training(flags=True, trainer=trainer, lanes=lanes, timeout=timeout)
    check_counts(
        flags=True, workers=workers if local else None, heartbeat_timeout=heartbeat_timeout, retries=retries,
        repeat=repeat,
    )  # fmt: skip
    given = {"trials": trials, "epochs": epochs, "lanes": lanes, "seed": seed}
    overrides = {key: value for key, value in given.items() if value is not None}
    about = About(owner=user_name(), tags=tuple(tag or ()), note=note)
    check_about(about)
    options = Options(
        trainer=TrainerName(trainer), lanes=lanes, data_dir=data_dir, heartbeat_timeout=heartbeat_timeout,
        retries=retries,
    )  # fmt: skip
    requests = [
        Request(
            sweep=found, study=called, storage=storage, options=options, workers=workers, relations=relations,
            about=about,
        )
        for found, called, relations in _sweeps(name, study, repeat, overrides)
    ]  # fmt: skip
    console.stderr = as_json
    if local:
        check_local(worker_cpus, worker_gpus, slurm)
        ran = run_all(requests, Stop(timeout, drain=drain))
    else:
        ran = _on_cluster(requests, placement(on, workers, worker_cpus, worker_gpus, slurm), timeout, drain)
    if as_json:
        print_studies(storage, ran)


def placement(on: Engine, workers: int, cpus: int, gpus: int, slurm: str | None) -> "Placement":
    """Where the workers are to run. Raises DefinitionError."""
    from optbench.launchers.cluster import Placement
    from optbench.launchers.engines import check_workers
    from optbench.launchers.slurm import check_slurm, split_slurm

    check_workers(workers, cpus, gpus, least=0)
    if slurm is not None and on is not Engine.SLURM:
        raise DefinitionError("--slurm is for --on slurm; add that, or leave it out")
    options = split_slurm(slurm)
    check_slurm(options)
    return Placement(engine=on, workers=workers, cpus=cpus, gpus=gpus, slurm=tuple(options))


def check_local(cpus: int, gpus: int, slurm: str | None) -> None:
    """Raises DefinitionError for an option that only workers on other machines have."""
    for option, given in {"worker-cpus": cpus != 1, "worker-gpus": gpus != 0, "slurm": slurm is not None}.items():
        if given:
            raise DefinitionError(f"--{option} is for --on ray or --on slurm; add one of these, or leave it out")


def _on_cluster(requests: "Iterable[Request]", where: "Placement", timeout: float | None, drain: bool) -> list[str]:
    """The names of the studies that were trained by workers on other machines."""
    from optbench.cli.running import run_all
    from optbench.launchers.cluster import Driver
    from optbench.launchers.engines import check_shared

    asked = list(requests)
    for request in asked:
        check_shared(request.storage, f"--on {where.engine}")
        if request.options.trainer is not TrainerName.LANES:
            raise DefinitionError(f"--trainer {request.options.trainer} is not for --on {where.engine}")

    def train(request: "Request", stop: Stop, screen: "Screen") -> "Outcome":
        cluster = where.cluster(request.storage, request.study)
        try:
            driver = Driver(request=request, cluster=cluster, lifetime=timeout, stop=stop, screen=screen)
            return driver.execute()
        finally:
            cluster.close()

    return run_all(asked, Stop(drain=drain), train=train)


def _sweeps(
    name: str, study: str | None, repeat: int, overrides: Mapping[str, int]
) -> "Iterator[tuple[Sweep, str, Relations]]":
    """The sweeps to run, each with its study's name: the sweep itself, or `repeat` of it with different seeds."""
    from optbench.definition import check_study_name, load
    from optbench.worker.creation import Relations

    sweep = load(name, overrides)
    if study is not None:
        check_study_name(study, "--study")
    called = study or sweep.name
    if repeat == 1:
        yield sweep, called, Relations()
        return
    for number in range(repeat):
        own = load(name, {**overrides, "seed": sweep.seed + number})
        yield own, f"{called}/{number + 1}", Relations(repeat_of=called)


@app.command()
def replay(
    study: StudyName,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The trial's number, or best.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Lanes to train with. [default: the trial's]")] = None,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Train one trial again and compare; exits with 1 if it differs. Example: optbench replay quickstart 3"""
    from optbench.cli import tables
    from optbench.exports import choose
    from optbench.storage import curve, find_study, log_replay, trials
    from optbench.worker.replay import replay as train_again

    number = trial_number(study, trial)
    with opened(storage) as storage_:
        record = find_study(storage_, study)
        chosen = choose(record, trials(storage_, record.study_id), number)[0].trial
        before = curve(storage_, chosen.trial_id)
    with Stop() as stop:
        if record.metric == Metric.TEST_ACCURACY and chosen.value is not None:
            with opened(storage) as storage_:
                log_replay(storage_, record.study_id, chosen.number)
        result = train_again(record, chosen, before, lanes, data_dir, stop, allow_code)
    if as_json:
        print_json(tables.replay_json(result))
    else:
        console.print(tables.curves(result))
        console.print(tables.agreement(result))
    if not result.same:
        raise typer.Exit(ExitCode.DIFFERS)
