"""Translates a configuration for Keras, PyTorch or optax, and says what differs if their update rule does."""

from collections.abc import Mapping
from typing import NoReturn

from optbench.errors import StudyError
from optbench.optimizers import OPTIMIZERS, Translation
from optbench.optimizers.contract import Translate
from optbench.optimizers.knobs import (
    BATCH,
    DROPOUT,
    SCHEDULE,
    SCHEDULES,
    after_warmup,
    in_effect,
    knobs_of,
    warmup_steps,
)
from optbench.optimizers.spelling import spelled

Hparams = Mapping[str, float]
ELSEWHERE = {BATCH, DROPOUT}
"""Knobs of the training and of the model, which no translation of an optimizer needs."""


def keras(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `keras.optimizers` and its arguments: the rules here are Keras' own. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    if known.translations.keras is None:
        _missing("Keras", optimizer, hparams)
    schedule = _schedule(hparams, steps)
    changed = {} if schedule is None else {"learning_rate": schedule}
    return Translation(known.translations.keras, {**known.keras_arguments(hparams), **changed})


def _schedule(hparams: Hparams, steps: int) -> Translation | None:
    """The class in `keras.optimizers.schedules` and its arguments, in a training of so many steps; None if constant.

    Raises StudyError where Keras has no class.
    """
    rise, found = warmup_steps(hparams, steps), after_warmup(hparams, steps)
    if not rise:
        return found if hparams.get(SCHEDULE) else None
    if found.name != "CosineDecay":
        name = SCHEDULES[int(hparams[SCHEDULE])]
        raise StudyError(f"Keras has no {name} schedule with a warmup; expected another --format: json or toml")
    warmup = {"initial_learning_rate": 0.0, "warmup_target": hparams["learning_rate"], "warmup_steps": rise}
    return Translation(found.name, {**found.arguments, **warmup})


def torch(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `torch.optim` and its arguments, in a training of so many steps. Raises StudyError."""
    return _translated("PyTorch", OPTIMIZERS[optimizer].translations.torch, optimizer, hparams, steps)


def optax(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The function in `optax` and its arguments, in a training of so many steps. Raises StudyError."""
    return _translated("optax", OPTIMIZERS[optimizer].translations.optax, optimizer, hparams, steps)


def _translated(
    framework: str, translate: Translate | None, optimizer: str, hparams: Hparams, steps: int
) -> Translation:
    known, effective = OPTIMIZERS[optimizer], in_effect(hparams)
    turned = any(effective.get(name) for name in knobs_of(known) - ELSEWHERE)  # no framework has the knobs
    found = None if translate is None or turned else translate(known.complete(hparams), steps)
    return found or _missing(framework, optimizer, hparams)


def _missing(framework: str, optimizer: str, hparams: Hparams) -> NoReturn:
    optional = {name for name, known in OPTIMIZERS[optimizer].hyperparameters.items() if known.optional} - ELSEWHERE
    set_ = {name: value for name, value in in_effect(hparams).items() if name in optional and value}
    given = spelled(optimizer, set_)
    words = " and ".join(
        f"{name} = {value if isinstance(value, str) else f'{value:g}'}" for name, value in given.items()
    )
    words = f" with {words}" if words else ""
    others = "json or toml" if OPTIMIZERS[optimizer].translations.keras is None else "keras, json or toml"
    raise StudyError(f"{framework} has no {optimizer}{words}; expected another --format: {others}")
