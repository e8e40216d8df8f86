"""Translates a configuration for Keras, PyTorch or optax, and says what differs if their update rule does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from optbench.errors import StudyError
from optbench.exports.companions import optax_schedule
from optbench.optimizers import OPTIMIZERS, Translation
from optbench.optimizers.contract import Translate
from optbench.optimizers.knobs import (
    SCHEDULE,
    SCHEDULES,
    WEIGHT_DECAY,
    after_warmup,
    changes_rate,
    knobs_of,
    warmup_steps,
)
from optbench.optimizers.spelling import spelled

Hparams = Mapping[str, float]


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
        raise StudyError(
            f"Keras has no {name} schedule with a warmup; expected another --format: torch, optax, json or toml"
        )
    warmup = {"initial_learning_rate": 0.0, "warmup_target": hparams["learning_rate"], "warmup_steps": rise}
    return Translation(found.name, {**found.arguments, **warmup})


def torch(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `torch.optim` and its arguments, in a training of so many steps; `torch_companions` has the rest.

    Raises StudyError, also for decoupled weight decay where PyTorch has none.
    """
    found = _translated("PyTorch", OPTIMIZERS[optimizer].translations.torch, optimizer, hparams, steps)
    if (decay := hparams.get(WEIGHT_DECAY)) and WEIGHT_DECAY not in found.arguments:
        raise StudyError(
            f"PyTorch has no {optimizer} with decoupled weight decay, and this trial has weight_decay = {decay:g}; "
            "expected another --format: optax, keras, json or toml"
        )
    return found


def optax(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The function in `optax` and its arguments, in a training of so many steps; `optax_companions` has the rest.

    Raises StudyError.
    """
    found = _translated("optax", OPTIMIZERS[optimizer].translations.optax, optimizer, hparams, steps)
    if not changes_rate(hparams):
        return found
    rate = optax_schedule(hparams, steps, hparams["learning_rate"])
    return replace(found, arguments={**found.arguments, "learning_rate": rate})


def _translated(
    framework: str, translate: Translate | None, optimizer: str, hparams: Hparams, steps: int
) -> Translation:
    found = None if translate is None else translate(OPTIMIZERS[optimizer].complete(hparams), steps)
    return found or _missing(framework, optimizer, hparams)


def _missing(framework: str, optimizer: str, hparams: Hparams) -> NoReturn:
    known = OPTIMIZERS[optimizer]
    optional = {name for name, hparam in known.hyperparameters.items() if hparam.optional} - knobs_of(known)
    given = spelled(optimizer, {name: value for name, value in hparams.items() if name in optional and value})
    words = " and ".join(
        f"{name} = {value if isinstance(value, str) else f'{value:g}'}" for name, value in given.items()
    )
    words = f" with {words}" if words else ""
    others = "json or toml" if known.translations.keras is None else "keras, json or toml"
    raise StudyError(f"{framework} has no {optimizer}{words}; expected another --format: {others}")
