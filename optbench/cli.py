"""The command line: the only place that parses, prints, exits or sets what concerns the whole process.

Commands import what they need when they run, so that `--help` is quick and only training loads TensorFlow.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from optbench import __version__
from optbench.errors import DefinitionError, OptbenchError, nearest

if TYPE_CHECKING:
    from optbench.launch import Launch
    from optbench.progress import Progress
    from optbench.storage import Storage
    from optbench.sweep import Sweep

app = typer.Typer(
    help="Sweep optimizers honestly: many small networks trained in one compiled step, studies kept in a database.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Prepare data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)  # a pipe has no width to fit

DEFAULT_STORAGE = "sqlite:///storage/optbench.db"
StorageUrl = Annotated[
    str, typer.Option("--storage", metavar="URL", envvar="OPTBENCH_STORAGE", help="The database, as a SQLAlchemy URL.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where tensorflow-datasets keeps its data sets.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name, as `optbench studies` lists it.")]


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
    from optbench.definition import load
    from optbench.stop import Stop

    if trainer not in ("lanes", "reference"):
        raise DefinitionError(f"--trainer {trainer}: no such trainer; {nearest(trainer, ['lanes', 'reference'])}")
    if trainer == "reference" and lanes not in (None, 1):
        raise DefinitionError(f"--lanes {lanes}: the reference trainer trains one trial at a time; leave --lanes out")
    if timeout is not None and not timeout > 0:
        raise DefinitionError(f"--timeout {timeout:g}; expected seconds above 0")
    given = {"trials": trials, "epochs": epochs, "lanes": lanes, "seed": seed}
    definition = load(name, {key: value for key, value in given.items() if value is not None})
    if study is not None and not 1 <= len(study) <= 300:
        raise DefinitionError(f"--study has {len(study)} characters; expected 1 to 300")
    with Stop(timeout) as stop:
        _run(definition, study or definition.name, storage, data_dir, trainer, stop)


def _run(definition: "Sweep", name: str, storage: str, data_dir: Path | None, trainer: str, stop: Any) -> None:
    from optbench.storage import check

    check(storage, create=True)
    with _training(trainer):
        from optbench.launch import carry_on, prepare
    launch = prepare(definition, name, storage, data_dir)
    try:
        if launch.missing:
            with _progress(launch) as progress:
                for done in carry_on(launch, trainer, stop, progress.waiting):
                    progress.round(done)
        else:
            console.print(f"study {name!r} has its {definition.trials} trials already; nothing to do", markup=False)
        _summary(launch, storage)
    finally:
        launch.storage.close()
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)


def _progress(launch: "Launch") -> "Progress":
    from optbench.progress import Progress, settings
    from optbench.storage import best_trials, trials

    best = best_trials(trials(launch.storage, launch.study))
    found = (best[0].value or 0.0, settings(best[0].hyperparameters)) if best else None
    return Progress(console, launch.study.name, launch.sweep.trials, launch.study.counts, found)


def _summary(launch: "Launch", url: str) -> None:
    """What the study holds now, and what to type next."""
    from optbench import tables
    from optbench.storage import best_trials, find_study, trials

    record = find_study(launch.storage, launch.study.name)
    records = trials(launch.storage, record)
    console.print(tables.counts(record), markup=False)
    if launch.sweep.searches:
        for best in best_trials(records)[:1]:
            console.print(tables.best(record, best), markup=False)
    else:
        console.print(tables.fixed(record, records))
    place = "" if url == DEFAULT_STORAGE else f" --storage {launch.storage.url}"
    quoted = tables.quoted(record.name)
    console.print(f"stored in {launch.storage.url}", markup=False, soft_wrap=True)
    for what, command in (("look", f"show {quoted}"), ("browse", "dashboard"), ("export", f"export {quoted}")):
        console.print(f"{what:>7}: optbench {command}{place}", markup=False, soft_wrap=True)


@app.command()
def studies(storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """List every study: its state, its trials by state, its best value. Example: optbench studies"""
    from optbench import tables
    from optbench.storage import studies as every

    with _open(storage) as opened:
        records = every(opened)
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
    from optbench import tables
    from optbench.storage import find_study, trials

    if top < 1:
        raise DefinitionError(f"--top {top}; expected a whole number of at least 1")
    with _open(storage) as opened:
        record = find_study(opened, study)
        ranked = tables.ranked(trials(opened, record))[:top]
    if as_json:
        _print_json(tables.study_json(record) | {"top": [tables.trial_json(trial) for trial in ranked]})
    else:
        for part in tables.show(record, ranked):
            console.print(part)


@app.command()
def replay(
    study: StudyName,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="The trial's number.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Lanes to train with. [default: the trial's]")] = None,
    data_dir: DataDir = None,
) -> None:
    """Train one trial again and compare; exits with 1 if it differs. Example: optbench replay quickstart 3"""
    from optbench import tables
    from optbench.export import choose
    from optbench.storage import curve, find_study, trials

    with _open(storage) as opened:
        record = find_study(opened, study)
        chosen = choose(record, trials(opened, record), trial)
        before = curve(opened, chosen.trial_id)
    with _training(chosen.trainer or "lanes"):
        from optbench.replay import replay as train_again
    result = train_again(record, chosen, before, lanes, data_dir)
    console.print(tables.curves(result))
    console.print(tables.verdict(result))
    if not result.same:
        raise typer.Exit(1)


@app.command()
def export(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    trial: Annotated[int | None, typer.Option(metavar="N", help="A trial. [default: the best complete one]")] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="json, toml (a sweep) or keras.")] = "json",
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="A file. [default: print]")] = None,
) -> None:
    """Write a configuration as a file. Example: optbench export quickstart --format keras -o optimizer.json"""
    from optbench.export import FORMATS, choose, write
    from optbench.storage import find_study, trials

    if form not in FORMATS:
        raise DefinitionError(f"--format {form}: no such format; {nearest(form, FORMATS)}")
    with _open(storage) as opened:
        record = find_study(opened, study)
        chosen = choose(record, trials(opened, record), trial)
    text = FORMATS[form](record, chosen)
    if output is None:
        sys.stdout.write(text)
    else:
        write(text, output)
        console.print(f"trial {chosen.number} of {study!r} written to {output}", markup=False, soft_wrap=True)


@app.command()
def dashboard(
    storage: StorageUrl = DEFAULT_STORAGE,
    host: Annotated[str, typer.Option(help="The address to listen on; whoever reaches it can delete studies.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Browse the studies in optuna-dashboard, also while sweeps run. Example: optbench dashboard --port 8081"""
    from optbench.dashboard import serve

    with _open(storage) as opened:
        console.print(f"optuna-dashboard on http://{host}:{port}/ (Ctrl-C ends it)", markup=False)
        serve(opened, host, port)


@data_app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of tensorflow-datasets.")],
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="A folder with the original files; nothing is downloaded.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Prepare a data set once. Example: optbench data prepare mnist --from ~/mnist"""
    with _training("lanes"):
        from optbench.training.data import prepare as make
    console.print(f"{name} is in {make(name, source, data_dir)}", markup=False, soft_wrap=True)


@app.callback(invoke_without_command=True)
def version(
    ask: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if ask:
        console.print(f"optbench {__version__}")
        raise typer.Exit


@contextmanager
def _open(url: str) -> "Iterator[Storage]":
    from optbench.storage import open_storage

    opened = open_storage(url)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _training(trainer: str) -> Iterator[None]:
    """Imports TensorFlow and sets it up; what its libraries say on loading, below Python, goes nowhere."""
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        from optbench.training.build import configure

        configure(trainer)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")


def main() -> NoReturn:
    """Run the command line: exits with 0, 1 (a replay differs), 2 (bad input, in one line), 130 or 143 (stopped)."""
    try:
        code = app(standalone_mode=False)
    except OptbenchError as problem:
        code = _refuse(str(problem))
    except typer.TyperException as problem:
        code = _refuse(f"{getattr(problem, 'format_message', lambda: problem)()}; type `optbench --help`")
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _refuse(message: str) -> int:
    print(f"optbench: {' '.join(message.split())}", file=sys.stderr)
    return 2
