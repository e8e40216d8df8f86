"""The commands that train: sweep, replay, data prepare. Only they load TensorFlow, when they run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optbench.cli.loading import tensorflow
from optbench.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    DataDir,
    StorageUrl,
    StudyName,
    app,
    check_counts,
    data_app,
    opened,
    trial_number,
)
from optbench.cli.output import console, print_json
from optbench.errors import DefinitionError, StorageError, nearest

if TYPE_CHECKING:
    from optbench.cli.running import Request
    from optbench.worker.stop import Stop


def complete_sweep(begun: str) -> list[str]:
    """The definitions that ship whose names begin so, for the shell."""
    from optbench.definition import shipped

    return sorted(path.stem for path in shipped().glob(f"{begun}*.toml"))


@app.command()
def sweep(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP", help="A TOML file, or the name of a definition in sweeps/.", autocompletion=complete_sweep
        ),
    ],
    storage: StorageUrl = DEFAULT_STORAGE,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The study's name. [default: the sweep's]")] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial that is not pruned.")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 2 per core]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The seed of everything random.")] = None,
    data_dir: DataDir = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Start no trial after so long.")] = None,
    trainer: Annotated[str, typer.Option(metavar="NAME", help="lanes, or reference: stock Keras.")] = "lanes",
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the study and the cores.")] = 1,
    heartbeat_timeout: Annotated[
        int, typer.Option(metavar="SECONDS", help="How long a worker may be silent before its trials are given away.")
    ] = 60,
    retries: Annotated[
        int, typer.Option(metavar="N", help="How often parameters are tried again after their worker crashed.")
    ] = 2,
    repeat: Annotated[
        int, typer.Option(metavar="R", help="Run it R times with other seeds, as the studies NAME/1 to NAME/R.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Run a study, join it, or carry it on, to its total number of trials. Example: optbench sweep quickstart"""
    from optbench.cli.running import print_studies

    _check_options(trainer, lanes, timeout)
    check_counts(
        workers=(workers, 1, 64),
        heartbeat_timeout=(heartbeat_timeout, 2, 86400),
        retries=(retries, 0, 1000),
        repeat=(repeat, 1, 1000),
    )
    given = {"trials": trials, "epochs": epochs, "lanes": lanes, "seed": seed}
    overrides = {key: value for key, value in given.items() if value is not None}
    shared = {
        "storage": storage,
        "data_dir": data_dir,
        "trainer": trainer,
        "heartbeat_timeout": heartbeat_timeout,
        "retries": retries,
    }
    requests = _requests(name, study, repeat, overrides, shared)
    console.stderr = as_json
    ran = _run_all(requests, timeout, workers)
    if as_json:
        print_studies(storage, ran)


def _requests(
    name: str, study: str | None, repeat: int, overrides: Mapping[str, int], shared: Mapping[str, Any]
) -> "list[Request]":
    """What is to be run: the sweep, or `repeat` of it with other seeds."""
    from optbench.cli.running import Request
    from optbench.definition import check_study_name, load

    definition = load(name, overrides)
    if study is not None:
        check_study_name(study, "--study")
    called = study or definition.name
    if repeat == 1:
        return [Request(name, overrides, definition, called, **shared)]
    seeds = [{**overrides, "seed": definition.seed + number} for number in range(repeat)]
    return [Request(name, own, load(name, own), f"{called}/{n}", **shared) for n, own in enumerate(seeds, start=1)]


def _run_all(requests: "Sequence[Request]", timeout: float | None, workers: int) -> list[str]:
    """Run one after the other; returns the studies' names, those alone that were begun within the time limit."""
    from optbench.worker.stop import Stop

    ran = []
    with Stop(timeout) as stop:
        for request in requests:
            _run(request, stop, workers)
            ran.append(request.study)
            if stop():
                break
    return ran


def _check_options(trainer: str, lanes: int | None, timeout: float | None) -> None:
    if trainer not in ("lanes", "reference"):
        raise DefinitionError(f"--trainer {trainer}: no such trainer; {nearest(trainer, ['lanes', 'reference'])}")
    if trainer == "reference" and lanes not in (None, 1):
        raise DefinitionError(f"--lanes {lanes}: the reference trainer trains one trial at a time; leave --lanes out")
    if timeout is not None and not timeout > 0:
        raise DefinitionError(f"--timeout {timeout:g}; expected seconds above 0")


def _run(request: "Request", stop: "Stop", workers: int) -> None:
    """Run it here or in so many processes; a signal while the database is out of reach ends it in good order."""
    from optbench.cli.running import run_here
    from optbench.cli.workers import run_workers

    try:
        if workers == 1:
            run_here(request, stop)
        else:
            run_workers(request, stop, workers)
    except StorageError as problem:
        if stop.signal is None:
            raise
        console.print(f"stopped while the database was out of reach: {problem}", markup=False, soft_wrap=True)
        raise typer.Exit(128 + stop.signal) from problem


@app.command()
def replay(
    study: StudyName,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The trial's number, or best.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Lanes to train with. [default: the trial's]")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train one trial again and compare; exits with 1 if it differs. Example: optbench replay quickstart 3"""
    from optbench.cli import tables
    from optbench.exports import choose
    from optbench.storage import curve, find_study, log_replay, trials
    from optbench.worker.stop import Stop

    number = trial_number(study, trial)
    with opened(storage) as storage_:
        record = find_study(storage_, study)
        chosen = choose(record, trials(storage_, record.study_id), number)[0].trial
        before = curve(storage_, chosen.trial_id)
    with Stop() as stop:
        with tensorflow(chosen.trainer or "lanes"):
            from optbench.replay import replay as train_again
        if record.metric == "test accuracy" and chosen.value is not None:
            with opened(storage) as storage_:
                log_replay(storage_, record.study_id, chosen.number)
        result = train_again(record, chosen, before, lanes, data_dir, stop)
    if as_json:
        print_json(tables.replay_json(result))
    else:
        console.print(tables.curves(result))
        console.print(tables.verdict(result))
    if not result.same:
        raise typer.Exit(1)


@data_app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of tensorflow-datasets.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="A folder with the original files; nothing is downloaded."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Prepare a data set once. Example: optbench data prepare mnist --from ~/mnist"""
    with tensorflow("lanes"):
        from optbench.data import prepare as make
    console.print(f"{name} is in {make(name, source, data_dir)}", markup=False, soft_wrap=True)
