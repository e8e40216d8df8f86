"""A trial's configuration in the formats that people load; its hyperparameters are never read back rounded."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import tomli_w

from optbench.errors import StudyError
from optbench.space import KERAS_CLASSES
from optbench.storage import StudyRecord, TrialRecord, best_trials


def choose(study: StudyRecord, records: list[TrialRecord], number: int | None) -> TrialRecord:
    """The trial of that number, or the best complete one. Raises StudyError if there is none.

    Nothing is selected by test accuracy: where that is the value, the trial has to be named.
    """
    if number is None and not study.searches:
        raise StudyError(f"study {study.name!r} selects nothing, so it has no best trial; name one with --trial N")
    if number is None:
        best = best_trials(records)
        if not best:
            raise StudyError(f"study {study.name!r} has no complete trial yet; carry on with `optbench sweep`")
        return best[0]
    for record in records:
        if record.number == number and record.hyperparameters:
            return record
    expected = f"expected 0 to {len(records) - 1}" if records else "it has none yet"
    raise StudyError(f"study {study.name!r} has no trial {number} with hyperparameters; {expected}")


def as_json(study: StudyRecord, trial: TrialRecord) -> str:
    """Everything that says what the trial was and what it reached."""
    definition = study.definition or {}
    content = {
        "study": study.name,
        "trial": trial.number,
        "state": trial.state,
        study.metric.replace(" ", "_"): trial.value,
        "optimizer": trial.optimizer,
        "hyperparameters": dict(trial.hyperparameters),
        "seed": trial.seed,
        "epochs": trial.epochs,
        "batch": definition.get("batch"),
        "data": definition.get("data"),
        "model": definition.get("model"),
        "fingerprint": study.fingerprint,
        "versions": study.versions,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_toml(study: StudyRecord, trial: TrialRecord) -> str:
    """A sweep definition of this one trial with its seed: `optbench sweep FILE` gives the same accuracies."""
    definition = study.definition or {}
    label = f"{study.name}, trial {trial.number}"
    fixed = {"label": label, "optimizer": trial.optimizer, **trial.hyperparameters, "seeds": [trial.seed]}
    content = {"name": f"{study.name}-trial-{trial.number}"[:300]}
    content |= {key: definition[key] for key in ("epochs", "batch", "seed", "data", "model")}
    return f"# {_comment(study, trial)}\n{tomli_w.dumps(content | {'trial': [fixed]})}"


def as_keras(study: StudyRecord, trial: TrialRecord) -> str:
    """What `keras.optimizers.deserialize(json.load(file))` takes."""
    name = KERAS_CLASSES[trial.optimizer]
    content = {"class_name": name, "config": {"name": trial.optimizer, **trial.hyperparameters}}
    return json.dumps(content, indent=2) + "\n"


FORMATS: Mapping[str, Callable[[StudyRecord, TrialRecord], str]] = {"json": as_json, "toml": as_toml, "keras": as_keras}


def write(text: str, path: Path) -> None:
    """Put the text into the file, all of it or none; into a pipe or a device, as it is. Raises StudyError."""
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            whole = Path(folder) / "whole"
            whole.write_text(text, encoding="utf-8")
            os.replace(whole, path)
    except OSError as problem:
        raise StudyError(f"{path} cannot be written: {problem.strerror}; choose another file with -o") from problem


def _comment(study: StudyRecord, trial: TrialRecord) -> str:
    value = "" if trial.value is None else f", {study.metric} {trial.value:.4f}"
    return json.dumps(f"{study.name}, trial {trial.number}{value}", ensure_ascii=False).strip('"')
