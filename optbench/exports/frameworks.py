"""A configuration for Keras, PyTorch or optax, and what differs where another rule is all that they have."""

from collections.abc import Mapping

from optbench.errors import StudyError
from optbench.optimizers import OPTIMIZERS, Translation

Hparams = Mapping[str, float]


def keras(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `keras.optimizers` and its arguments: the rules here are Keras' own. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    if known.translations.keras is None:
        raise _missing("Keras", optimizer)
    return Translation(known.translations.keras, known.keras_arguments(hparams))


def torch(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The class in `torch.optim` and its arguments, in a training of so many steps. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    if known.translations.torch is None:
        raise _missing("PyTorch", optimizer)
    return known.translations.torch(known.complete(hparams), steps)


def optax(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """The function in `optax` and its arguments, in a training of so many steps. Raises StudyError."""
    known = OPTIMIZERS[optimizer]
    if known.translations.optax is None:
        raise _missing("optax", optimizer)
    return known.translations.optax(known.complete(hparams), steps)


def _missing(framework: str, optimizer: str) -> StudyError:
    return StudyError(f"{framework} has no {optimizer}; expected another --format: json or toml")
