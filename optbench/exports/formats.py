"""Writes configurations as text, in formats that other programs load, with exactly the trial's hyperparameters."""

import enum
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tomli_w

from optbench import __version__
from optbench.comparison.selection import finalist_json
from optbench.data.splits import held_back
from optbench.definition.sweep import Sweep
from optbench.errors import StudyError
from optbench.exports import frameworks
from optbench.exports.choice import Choice
from optbench.exports.companions import Companion, keras_loss, optax_companions, torch_companions
from optbench.exports.script import as_call, as_python
from optbench.optimizers import OPTIMIZERS, Translation
from optbench.optimizers.contract import Hparams
from optbench.optimizers.knobs import LABEL_SMOOTHING, batch_of
from optbench.storage import StudyRecord, TrialRecord
from optbench.worker.code import check_code


class Format(enum.StrEnum):
    """What `optbench export --format` writes."""

    JSON = "json"
    KERAS = "keras"
    OPTAX = "optax"
    PYTHON = "python"
    TOML = "toml"
    TORCH = "torch"


def as_json(choices: Sequence[Choice]) -> str:
    """The trials' configurations and values as JSON, which schema.json describes."""
    return _dump([_record(choice) for choice in choices])


def as_toml(choices: Sequence[Choice]) -> str:
    """A sweep file with these trials and their seeds: `optbench sweep FILE` gives the same accuracies."""
    study = choices[0].study
    plain = made_here(study).definition()
    numbers = "-".join(str(choice.trial.number) for choice in choices)
    content: dict[str, Any] = {"name": f"{study.name[:200]}-trial-{numbers}"[:300]}
    content |= {key: plain[key] for key in ("epochs", "batch", "seed", "data", "model")}
    content["trial"] = [
        {
            "label": f"{study.name}, trial {trial.number}",
            "optimizer": trial.optimizer,
            **OPTIMIZERS[trial.optimizer].written(trial.hyperparameters),
            "seeds": [trial.seed],
        }
        for trial in (choice.trial for choice in choices)
    ]
    comments = "".join(f"# {_comment(choice)}\n" for choice in choices)
    return comments + tomli_w.dumps(content)


def as_keras(choices: Sequence[Choice]) -> str:
    """A configuration that `keras.saving.deserialize_keras_object(json.load(file))` loads."""
    contents = []
    for choice in choices:
        trial = choice.trial
        found = frameworks.keras(trial.optimizer, trial.hyperparameters, steps_of(choice.study, trial))
        contents.append(_serialized("keras.optimizers", found, trial.optimizer))
    return _dump(contents)


def loss_notes(choices: Sequence[Choice]) -> list[str]:
    """A sentence for each trial with label smoothing, which belongs to the loss and not to an optimizer of Keras."""
    smoothed = [(c.trial.number, s) for c in choices if (s := c.trial.hyperparameters.get(LABEL_SMOOTHING))]
    return [
        f"trial {number} has label_smoothing = {smoothing:g}, which belongs to the loss: keras.losses."
        f"{as_call(keras_loss(smoothing))} on one-hot labels"
        for number, smoothing in smoothed
    ]


def _serialized(module: str, found: Translation, name: str) -> dict[str, Any]:
    """An object as Keras serializes it."""
    config = {
        key: _serialized("keras.optimizers.schedules", value, value.name) if isinstance(value, Translation) else value
        for key, value in found.arguments.items()
    }
    return {"module": module, "class_name": found.name, "config": {"name": name, **config}, "registered_name": None}


def as_torch(choices: Sequence[Choice]) -> str:
    """The class in `torch.optim`, what differs from the trial's rule, if anything, and what its knobs are there."""
    return _dump([_translated(choice, frameworks.torch, torch_companions) for choice in choices])


def as_optax(choices: Sequence[Choice]) -> str:
    """The function in `optax`, what differs from the trial's rule, if anything, and what its knobs are there."""
    return _dump([_translated(choice, frameworks.optax, optax_companions) for choice in choices])


FORMATS: Mapping[Format, Callable[[Sequence[Choice]], str]] = {
    Format.JSON: as_json,
    Format.KERAS: as_keras,
    Format.OPTAX: as_optax,
    Format.PYTHON: as_python,
    Format.TOML: as_toml,
    Format.TORCH: as_torch,
}


def text_for_here(choices: Sequence[Choice], form: Format) -> str:
    """The configurations in that format, for this machine.

    Raises StudyError if nothing can be written, and if a script would import a function whose file is not here, has
    changed, or is not trusted.
    """
    sweep = choices[0].study.sweep
    if form is Format.PYTHON and sweep is not None:
        check_code(sweep.model, allowed=False)
    return FORMATS[form](choices)


def made_here(study: StudyRecord) -> Sweep:
    """The study's sweep. Raises StudyError where another program made the study."""
    if study.sweep is None:
        raise StudyError(f"study {study.name!r} was not made by optbench, so its model and data are unknown")
    return study.sweep


def steps_of(study: StudyRecord, trial: TrialRecord) -> int:
    """How many optimizer steps the trial takes in all its epochs."""
    sweep = made_here(study)
    assert study.facts is not None, "a study that optbench made knows its data set"
    trained = study.facts.examples - held_back(sweep.data, study.facts.examples)
    return sweep.epochs * math.ceil(trained / batch_of(trial.hyperparameters, sweep.batch))


def _translated(
    choice: Choice,
    translate: Callable[[str, Hparams, int], Translation],
    companions_of: Callable[[Translation, Hparams, int], Sequence[Companion]],
) -> dict[str, Any]:
    """The optimizer's translation as JSON can hold it, with the companions of the trial's knobs."""
    trial, steps = choice.trial, steps_of(choice.study, choice.trial)
    found = translate(trial.optimizer, trial.hyperparameters, steps)
    companions = companions_of(found, trial.hyperparameters, steps)
    return {
        **_plain(found),
        "exact": found.difference is None,
        "difference": found.difference,
        "knobs": [{"knob": one.knob, **_plain(one.translation), "use": one.use} for one in companions],
        "from": _comment(choice),
    }


def _plain(value: Any) -> Any:
    """An argument of a translation, or a translation with its own arguments, as JSON can hold it."""
    if isinstance(value, Translation):
        return {"class": value.name, "arguments": {name: _plain(one) for name, one in value.arguments.items()}}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _record(choice: Choice) -> dict[str, Any]:
    study, trial = choice.study, choice.trial
    plain = {} if study.sweep is None else study.sweep.definition()
    return {
        "study": study.name,
        "trial": trial.number,
        "chosen": choice.why,
        "state": trial.state,
        "metric": study.metric,
        "value": trial.value,
        "finals": None if choice.finalist is None else finalist_json(choice.finalist),
        "confirmed": None if choice.confirmed is None else vars(choice.confirmed),
        "optimizer": trial.optimizer,
        "hyperparameters": dict(trial.settings),
        "seed": trial.seed,
        "epochs": trial.epochs,
        "batch": None if study.sweep is None else batch_of(trial.hyperparameters, study.sweep.batch),
        "data": plain.get("data"),
        "model": plain.get("model"),
        "fingerprint": study.fingerprint,
        "versions": {**study.versions, "exported by optbench": __version__},
    }


def _comment(choice: Choice) -> str:
    study, trial = choice.study, choice.trial
    value = "" if trial.value is None else f", {study.metric} {100 * trial.value:.2f} %"
    return json.dumps(f"{study.name}, trial {trial.number}{value}: {choice.why}", ensure_ascii=False).strip('"')


def _dump(contents: list[dict[str, Any]]) -> str:
    return json.dumps(contents[0] if len(contents) == 1 else contents, indent=2, ensure_ascii=False) + "\n"
