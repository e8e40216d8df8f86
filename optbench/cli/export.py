"""The command export: writes configurations and tables without TensorFlow, and a trained model with it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AllowCode, DataDir, ServerUrl, StorageUrl, StudyName, app, opened
from optbench.cli.output import console, write_text
from optbench.cli.streams import print_error
from optbench.cli.track import track
from optbench.errors import DefinitionError, StudyError, counted, nearest

if TYPE_CHECKING:
    from optbench.exports import Choice, Format
    from optbench.storage import Storage


@app.command()
def export(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    trial: Annotated[
        int | None, typer.Option(metavar="N", help="Export this trial. [default: the best complete one]")
    ] = None,
    top: Annotated[int | None, typer.Option(metavar="K", help="Export the K best complete trials.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="json (default), toml (a sweep), keras, torch, optax, python."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file. [default: print]")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE.keras", help="Train the trial again and save its network here.")
    ] = None,
    trials: Annotated[
        Path | None, typer.Option(metavar="FILE.csv|.parquet", help="Write a table of every trial.")
    ] = None,
    epochs: Annotated[
        Path | None, typer.Option(metavar="FILE.csv|.parquet", help="Write a table of every epoch of every trial.")
    ] = None,
    to: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="mlflow URI|tensorboard DIR",
            help="Write the study to MLflow or to a folder for TensorBoard, again only what is new.",
        ),
    ] = None,
    data_dir: DataDir = None,
    server: ServerUrl = None,
    allow_code: AllowCode = False,
) -> None:
    """Write configurations, trials or a model. Example: optbench export quickstart --format keras -o optimizer.json"""
    from optbench.cli import remote
    from optbench.exports import Format, chosen
    from optbench.files import check_writable
    from optbench.storage import find_study

    if to is not None:
        others = (trial, top, form, output, model, trials, epochs, data_dir, server)
        track(study, storage, *to, alone=others == (None,) * len(others) and not allow_code)
        return
    tables = {option: path for option, path in (("--trials", trials), ("--epochs", epochs)) if path is not None}
    _check_options(trial, top, form, output, model, tables, data_dir)
    if allow_code and model is None:
        raise DefinitionError(
            "--allow-code is for --model; a script imports the function from its file, which has to be there"
        )
    if server is not None:
        if model is not None or tables:
            raise DefinitionError("--server writes configurations only; leave it or --model, --trials and --epochs out")
        remote.export(server, study, form, trial, top, output)
        return
    for path in filter(None, (output if str(output) != "-" else None, model, *tables.values())):
        check_writable(path)
    with opened(storage, read_only=model is None) as storage_:
        record = find_study(storage_, study)
        if tables:
            _write_tables(storage_, record.study_id, tables)
            return
        choices = chosen(storage_, record, trial, top)
        if model is not None:
            _save_model(storage_, choices[0], model, data_dir, allow_code)
            return
    if top is not None and top > len(choices):
        print_error(f"{study} has {counted(len(choices), 'complete trial')}, fewer than --top {top}")
    _write_choices(study, choices, Format(form or Format.JSON), output)


def _write_choices(study: str, choices: "Sequence[Choice]", form: "Format", output: Path | None) -> None:
    """Print the configurations, or write them to the file and say which trials it holds; then say what differs."""
    from optbench.exports import Format, loss_notes, text_for_here

    _write_text(study, choices, text_for_here(choices, form), output)
    for note in loss_notes(choices) if form is Format.KERAS else ():
        print_error(note)


def _write_text(study: str, choices: "Sequence[Choice]", text: str, output: Path | None) -> None:
    from optbench.files import write

    if output is None or str(output) == "-":
        write_text(text)
        return
    write(text.encode(), output)
    what = ", ".join(f"trial {choice.trial.number} ({choice.why})" for choice in choices)
    console.print(f"{study}: {what} written to {output}", markup=False, soft_wrap=True)


def _check_options(
    trial: int | None,
    top: int | None,
    form: str | None,
    output: Path | None,
    model: Path | None,
    tables: dict[str, Path],
    data_dir: Path | None,
) -> None:
    """Raise DefinitionError for options that exclude each other, before anything is read."""
    from optbench.exports import Format
    from optbench.exports.tables import check_table_path

    if form is not None and form not in list(Format):
        raise DefinitionError(f"--format {form}: no such format; {nearest(form, Format)}")
    if top is not None and (trial is not None or top < 1):
        raise DefinitionError(f"--top {top}; expected a whole number of 1 or more, and no --trial with it")
    for option, path in tables.items():
        check_table_path(path, option)
        if (trial, top, form, output, model) != (None, None, None, None, None):
            raise DefinitionError(
                f"{option} {path} writes every trial; expected no --trial, --top, --format, -o or --model with it"
            )
    if model is not None and (model.suffix != ".keras" or (form, output, top) != (None, None, None)):
        raise DefinitionError(f"--model {model}; expected a file that ends in .keras, and no --format, -o or --top")
    if data_dir is not None and model is None:
        raise DefinitionError(f"--data-dir {data_dir}; expected --model with it, because only --model trains")


def _write_tables(storage: "Storage", study_id: int, tables: dict[str, Path]) -> None:
    """Write the trials, the epochs, or both, each to its file."""
    from optbench.exports.tables import encode_table, epoch_columns, trial_columns
    from optbench.files import write
    from optbench.storage import curves, trials

    records = trials(storage, study_id)
    for option, path in tables.items():
        of_trials = option == "--trials"
        columns = trial_columns(records) if of_trials else epoch_columns(records, curves(storage, study_id))
        write(encode_table(columns, path), path)
        what = f"{len(columns['trial'])} {'trials' if of_trials else 'epochs'}"
        console.print(f"{what} written to {path}", markup=False, soft_wrap=True)


def _save_model(storage: "Storage", choice: "Choice", path: Path, data_dir: Path | None, allow_code: bool) -> None:
    """Train the trial again, and save its network if its accuracies equal the stored ones."""
    from optbench.files import write
    from optbench.scheduler.states import Metric
    from optbench.storage import curve, log_replay
    from optbench.worker.replay import replay
    from optbench.worker.stop import Stop

    study, trial = choice.study, choice.trial
    before = curve(storage, trial.trial_id)
    with Stop() as stop:
        if study.metric == Metric.TEST_ACCURACY and trial.value is not None:
            log_replay(storage, study.study_id, trial.number)
        result = replay(study, trial, before, None, data_dir, stop, allow_code)
    if not result.same:
        raise StudyError(
            f"trial {trial.number} was trained again and its accuracies differ from the stored ones; "
            f"`optbench replay {study.name} {trial.number}` shows them"
        )
    from optbench.exports.formats import made_here
    from optbench.training.tensorflow.build import network_of  # after the replay has set TensorFlow up
    from optbench.training.tensorflow.saving import save

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.keras"
        assert study.facts is not None, "a study that optbench made knows its data set"
        network = network_of(made_here(study).model, study.facts)
        save(result.weights, network, trial.optimizer, trial.hyperparameters, result.scaling, whole)
        write(whole.read_bytes(), path)
    last = result.after[-1]
    name, accuracy = ("test", result.tested[1]) if result.tested else ("validation", last.validation_accuracy)
    reached = f"{name} accuracy {100 * accuracy:.2f} %, as stored" if accuracy is not None else "accuracies as stored"
    console.print(f"trial {trial.number} ({choice.why}) saved in {path}: {reached}", markup=False, soft_wrap=True)
