"""The command that exports: as text, without TensorFlow; or as a trained model."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.loading import tensorflow
from optbench.cli.options import DEFAULT_STORAGE, DataDir, StorageUrl, StudyName, app, opened
from optbench.cli.output import console
from optbench.errors import DefinitionError, StudyError, nearest

if TYPE_CHECKING:
    from optbench.exports import Choice
    from optbench.storage import Storage


@app.command()
def export(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    trial: Annotated[int | None, typer.Option(metavar="N", help="A trial. [default: the best complete one]")] = None,
    top: Annotated[int | None, typer.Option(metavar="K", help="The K best complete trials.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="json (default), toml (a sweep), keras, torch, optax, python."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A file. [default: print]")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE.keras", help="Train it again and save the model, instead.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a configuration as a file. Example: optbench export quickstart --format keras -o optimizer.json"""
    from optbench.exports import FORMATS, chosen
    from optbench.files import write
    from optbench.storage import find_study

    if form is not None and form not in FORMATS:
        raise DefinitionError(f"--format {form}: no such format; {nearest(form, FORMATS)}")
    if top is not None and (trial is not None or top < 1):
        raise DefinitionError(f"--top {top}; expected a whole number of at least 1, and no --trial beside it")
    if model is not None and (model.suffix != ".keras" or (form, output, top) != (None, None, None)):
        raise DefinitionError(f"--model {model}; expected a file that ends in .keras, and no --format, -o or --top")
    if data_dir is not None and model is None:
        raise DefinitionError(f"--data-dir {data_dir}; expected --model beside it: only that trains")
    with opened(storage) as storage_:
        choices = chosen(storage_, find_study(storage_, study), trial, top)
        if model is not None:
            _save_model(storage_, choices[0], model, data_dir)
            return
    if top is not None and top > len(choices):
        print(f"optbench: {study} has {len(choices)} complete trials, fewer than --top {top}", file=sys.stderr)
    text = FORMATS[form or "json"](choices)
    if output is None or str(output) == "-":
        sys.stdout.write(text)
        return
    write(text.encode(), output)
    what = ", ".join(f"trial {choice.trial.number} ({choice.why})" for choice in choices)
    console.print(f"{study}: {what} written to {output}", markup=False, soft_wrap=True)


def _save_model(storage: "Storage", choice: "Choice", path: Path, data_dir: Path | None) -> None:
    """Train the trial again; save its network only if it came to what the row says."""
    from optbench.cli.stop import Stop
    from optbench.definition import parse
    from optbench.files import write
    from optbench.storage import curve, log_replay

    study, trial = choice.study, choice.trial
    before = curve(storage, trial.trial_id)
    with Stop() as stop:
        with tensorflow(trial.trainer or "lanes"):
            from optbench.replay import replay
            from optbench.training.saving import save
        if study.metric == "test accuracy" and trial.value is not None:
            log_replay(storage, study.name, trial.number)
        result = replay(study, trial, before, None, data_dir, stop)
    if not result.same:
        raise StudyError(f"trial {trial.number} trained again came to other accuracies; `optbench replay` shows them")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.keras"
        save(result.weights, parse(study.definition or {}, "study"), trial.optimizer, trial.hyperparameters, whole)
        write(whole.read_bytes(), path)
    last = result.after[-1]
    score = ("test", result.tested[1]) if result.tested else ("validation", last.validation_accuracy)
    told = f"{score[0]} accuracy {score[1]:.4f}, as its row says" if score[1] is not None else "as its row says"
    console.print(f"trial {trial.number} ({choice.why}) saved in {path}: {told}", markup=False, soft_wrap=True)
