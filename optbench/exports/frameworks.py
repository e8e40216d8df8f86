"""Translates a configuration for Keras, PyTorch or optax, and says what differs if their update rule does."""

from collections.abc import Mapping
from typing import NoReturn

from optbench.errors import StudyError
from optbench.optimizers import OPTIMIZERS, Optimizer, Translation
from optbench.optimizers.knobs import BATCH, SCHEDULE, WARMUP, in_effect, knobs_of
from optbench.optimizers.spelling import spelled

Hparams = Mapping[str, float]


def keras(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `keras.optimizers` and its arguments: the rules here are Keras' own. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    if hparams.get(SCHEDULE) or hparams.get(WARMUP):
        raise StudyError("--format keras and python write no schedule of the learning rate; expected json or toml")
    if known.translations.keras is None:
        _missing("Keras", optimizer, hparams)
    return Translation(known.translations.keras, known.keras_arguments(hparams))


def torch(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `torch.optim` and its arguments, in a training of so many steps. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    translate = known.translations.torch
    found = None if translate is None or _turned(hparams, known) else translate(known.complete(hparams), steps)
    return found or _missing("PyTorch", optimizer, hparams)


def optax(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The function in `optax` and its arguments, in a training of so many steps. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    translate = known.translations.optax
    found = None if translate is None or _turned(hparams, known) else translate(known.complete(hparams), steps)
    return found or _missing("optax", optimizer, hparams)


def _turned(hparams: Hparams, optimizer: Optimizer) -> bool:
    """Whether a knob is set that no translation has; the batch size is no matter of the optimizer's."""
    effective = in_effect(hparams)
    return any(effective.get(name) for name in knobs_of(optimizer) - {BATCH})


def _missing(framework: str, optimizer: str, hparams: Hparams) -> NoReturn:
    optional = {name for name, known in OPTIMIZERS[optimizer].hyperparameters.items() if known.optional} - {BATCH}
    set_ = {name: value for name, value in in_effect(hparams).items() if name in optional and value}
    given = spelled(optimizer, set_)
    words = "".join(
        f" with {name} = {value if isinstance(value, str) else f'{value:g}'}" for name, value in given.items()
    )
    others = "json or toml" if {SCHEDULE, WARMUP} & set_.keys() else "keras, json or toml"
    raise StudyError(f"{framework} has no {optimizer}{words}; expected another --format: {others}")
