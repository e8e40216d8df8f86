"""Exports as text, in the formats that people load; hyperparameters are as the trial had them, never read back."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tomli_w

from optbench import __version__
from optbench.errors import StudyError
from optbench.exports import frameworks
from optbench.exports.choice import Choice
from optbench.exports.script import as_python
from optbench.optimizers import OPTIMIZERS, Translation
from optbench.storage import StudyRecord

IMAGES = {"digits": 1500, "fashion_mnist": 60_000, "kmnist": 60_000, "mnist": 60_000}  # to train and validate on


def as_json(choices: Sequence[Choice]) -> str:
    """Everything that says what the trials were and what they reached, as schema.json describes it."""
    return _dump([_record(choice) for choice in choices])


def as_toml(choices: Sequence[Choice]) -> str:
    """A sweep definition of these trials with their seeds: `optbench sweep FILE` gives the same accuracies."""
    study = choices[0].study
    definition = study.definition or {}
    numbers = "-".join(str(choice.trial.number) for choice in choices)
    content: dict[str, Any] = {"name": f"{study.name[:200]}-trial-{numbers}"[:300]}
    content |= {key: definition[key] for key in ("epochs", "batch", "seed", "data", "model")}
    content["trial"] = [
        {
            "label": f"{study.name}, trial {trial.number}",
            "optimizer": trial.optimizer,
            **OPTIMIZERS[trial.optimizer].keras_arguments(trial.hyperparameters),
            "seeds": [trial.seed],
        }
        for trial in (choice.trial for choice in choices)
    ]
    comments = "".join(f"# {_comment(choice)}\n" for choice in choices)
    return comments + tomli_w.dumps(content)


def as_keras(choices: Sequence[Choice]) -> str:
    """What `keras.optimizers.deserialize(json.load(file))` takes."""
    contents = []
    for trial in (choice.trial for choice in choices):
        found = frameworks.keras(trial.optimizer, trial.hyperparameters, 0)
        contents.append({"class_name": found.name, "config": {"name": trial.optimizer, **found.arguments}})
    return _dump(contents)


def as_torch(choices: Sequence[Choice]) -> str:
    """The class in `torch.optim` and its keyword arguments; whether the rule is the same, and if not, what differs."""
    return _translated(choices, frameworks.torch)


def as_optax(choices: Sequence[Choice]) -> str:
    """The function in `optax` and its keyword arguments; whether the rule is the same, and if not, what differs."""
    return _translated(choices, frameworks.optax)


FORMATS: Mapping[str, Callable[[Sequence[Choice]], str]] = {
    "json": as_json,
    "keras": as_keras,
    "optax": as_optax,
    "python": as_python,
    "toml": as_toml,
    "torch": as_torch,
}


def steps_of(study: StudyRecord) -> int:
    """How many steps a trial of the study takes; of a data set of unknown size, as on MNIST."""
    definition = study.definition
    if definition is None:
        raise StudyError(f"study {study.name!r} was not made by optbench; nothing says how long its trials are")
    data = definition["data"]
    images = IMAGES.get(data["name"], IMAGES["mnist"]) - data["validation"]
    return int(definition["epochs"] * math.ceil(images / definition["batch"]))


def _translated(choices: Sequence[Choice], translate: Callable[..., Translation]) -> str:
    contents = []
    for choice in choices:
        found = translate(choice.trial.optimizer, choice.trial.hyperparameters, steps_of(choice.study))
        contents.append(
            {
                "class": found.name,
                "arguments": found.arguments,
                "exact": found.difference is None,
                "difference": found.difference,
                "from": _comment(choice),
            }
        )
    return _dump(contents)


def _record(choice: Choice) -> dict[str, Any]:
    study, trial = choice.study, choice.trial
    definition = study.definition or {}
    return {
        "study": study.name,
        "trial": trial.number,
        "chosen": choice.why,
        "state": trial.state,
        "metric": study.metric,
        "value": trial.value,
        "confirmed": None if choice.confirmed is None else vars(choice.confirmed),
        "optimizer": trial.optimizer,
        "hyperparameters": dict(trial.hyperparameters),
        "seed": trial.seed,
        "epochs": trial.epochs,
        "batch": definition.get("batch"),
        "data": definition.get("data"),
        "model": definition.get("model"),
        "fingerprint": study.fingerprint,
        "versions": {**study.versions, "exported by optbench": __version__},
    }


def _comment(choice: Choice) -> str:
    study, trial = choice.study, choice.trial
    value = "" if trial.value is None else f", {study.metric} {trial.value:.4f}"
    return json.dumps(f"{study.name}, trial {trial.number}{value}: {choice.why}", ensure_ascii=False).strip('"')


def _dump(contents: list[dict[str, Any]]) -> str:
    return json.dumps(contents[0] if len(contents) == 1 else contents, indent=2, ensure_ascii=False) + "\n"
