"""The commands that train: sweep, replay, data prepare. Only they load TensorFlow, when they run."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.loading import tensorflow
from optbench.cli.options import DEFAULT_STORAGE, DataDir, StorageUrl, StudyName, app, console, data_app, opened
from optbench.errors import DefinitionError, nearest

if TYPE_CHECKING:
    from optbench.cli.progress import Progress
    from optbench.cli.stop import Stop
    from optbench.launch import Launch
    from optbench.sweep import Sweep


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="A TOML file, or the name of a definition in sweeps/.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The study's name. [default: the sweep's]")] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial that is not pruned.")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 2 per core]")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The seed of everything random.")] = None,
    data_dir: DataDir = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Start no trial after so long.")] = None,
    trainer: Annotated[str, typer.Option(metavar="NAME", help="lanes, or reference: stock Keras.")] = "lanes",
) -> None:
    """Run a study, or carry it on, to its total number of trials. Example: optbench sweep quickstart"""
    from optbench.cli.stop import Stop
    from optbench.definition import check_study_name, load

    if trainer not in ("lanes", "reference"):
        raise DefinitionError(f"--trainer {trainer}: no such trainer; {nearest(trainer, ['lanes', 'reference'])}")
    if trainer == "reference" and lanes not in (None, 1):
        raise DefinitionError(f"--lanes {lanes}: the reference trainer trains one trial at a time; leave --lanes out")
    if timeout is not None and not timeout > 0:
        raise DefinitionError(f"--timeout {timeout:g}; expected seconds above 0")
    given = {"trials": trials, "epochs": epochs, "lanes": lanes, "seed": seed}
    definition = load(name, {key: value for key, value in given.items() if value is not None})
    if study is not None:
        check_study_name(study, "--study")
    with Stop(timeout) as stop:
        _run(definition, study or definition.name, storage, data_dir, trainer, stop)


def _run(definition: "Sweep", name: str, storage: str, data_dir: Path | None, trainer: str, stop: "Stop") -> None:
    from optbench.storage import check

    check(storage, create=True)
    with console.status(f"loading TensorFlow and {definition.data}") if console.is_terminal else nullcontext():
        with tensorflow(trainer):
            from optbench.launch import carry_on, prepare
        launch = prepare(definition, name, storage, data_dir)
    try:
        if launch.missing:
            with _progress(launch, stop) as progress:
                for done in carry_on(launch, trainer, stop, progress.waiting):
                    progress.round(done)
        else:
            console.print(f"study {name!r} has its total of {definition.trials} already; nothing to do", markup=False)
        complete = _summary(launch, storage)
    finally:
        launch.storage.close()
    if not complete:
        console.print(f"{'the --timeout is over' if stop.signal is None else 'stopped'}; the same command carries on")
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)


def _progress(launch: "Launch", stop: "Stop") -> "Progress":
    from optbench.cli.progress import Progress, settings
    from optbench.storage import best_trials, trials

    best = best_trials(trials(launch.storage, launch.study))
    found = (best[0].value or 0.0, settings(best[0].hyperparameters)) if best else None
    return Progress(console, launch.study.name, launch.sweep.trials, launch.study.counts, found, stop)


def _summary(launch: "Launch", url: str) -> bool:
    """Print what the study holds now, and what to type next; returns whether it has its total."""
    from optbench.cli import tables
    from optbench.storage import best_trials, find_study, trials

    record = find_study(launch.storage, launch.study.name)
    records = trials(launch.storage, record)
    console.print(tables.counts(record), markup=False)
    if launch.sweep.searches:
        for best in best_trials(records)[:1]:
            console.print(tables.best(record, best), markup=False)
    else:
        console.print(tables.fixed(record, records))
    place = "" if url == DEFAULT_STORAGE else f" --storage {shlex.quote(str(launch.storage.url))}"
    name = shlex.quote(record.name)
    console.print(f"stored in {launch.storage.url}", markup=False, soft_wrap=True)
    export = [("export", f"export {name}")] if record.searches else []
    for what, command in [("look", f"show {name}"), ("browse", "dashboard"), *export]:
        console.print(f"{what:>7}: optbench {command}{place}", markup=False, soft_wrap=True)
    return record.state == "done"


@app.command()
def replay(
    study: StudyName,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Lanes to train with. [default: the trial's]")] = None,
    data_dir: DataDir = None,
) -> None:
    """Train one trial again and compare; exits with 1 if it differs. Example: optbench replay quickstart 3"""
    from optbench.cli import tables
    from optbench.export import choose
    from optbench.storage import curve, find_study, trials

    with opened(storage) as storage_:
        record = find_study(storage_, study)
        chosen = choose(record, trials(storage_, record), trial)
        before = curve(storage_, chosen.trial_id)
    with tensorflow(chosen.trainer or "lanes"):
        from optbench.replay import replay as train_again
    result = train_again(record, chosen, before, lanes, data_dir)
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
        from optbench.training.data import prepare as make
    console.print(f"{name} is in {make(name, source, data_dir)}", markup=False, soft_wrap=True)
