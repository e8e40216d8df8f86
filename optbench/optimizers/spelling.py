"""Writes hyperparameters for people and files: a schedule by its name, a batch size as a whole number."""

from collections.abc import Mapping

from optbench.optimizers import ONE_MINUS, OPTIMIZERS, one_minus
from optbench.optimizers.contract import Hparams, Kind, Written
from optbench.optimizers.knobs import KNOBS, knobs_of

SPELLED = (Kind.NAME, Kind.COUNT)
CLOSE = 1e-4  # how far a decay rate is from 1 where four digits say nothing of it


def spelled(optimizer: str | None, hparams: Hparams) -> dict[str, Written]:
    """The hyperparameters of an optimizer as files have its knobs; those of other programs' trials as they are."""
    known = OPTIMIZERS.get(optimizer or "")
    knobs = frozenset[str]() if known is None else knobs_of(known)
    named = {name for name in knobs if KNOBS[name].kind in SPELLED}
    return {name: KNOBS[name].written(value) if name in named else value for name, value in hparams.items()}


def unspelled(optimizer: str | None, hparams: Mapping[str, Written]) -> dict[str, float]:
    """The hyperparameters as a trial's row has them, from what `spelled` gave."""
    known = OPTIMIZERS.get(optimizer or "")
    knobs = frozenset[str]() if known is None else knobs_of(known)
    return {name: KNOBS[name].number(value) if name in knobs else value for name, value in hparams.items()}  # type: ignore[misc]


def on_one_line(optimizer: str | None, hparams: Hparams, digits: int = 4, between: str = " ") -> str:
    """Hyperparameters as people read them: learning_rate=0.001 schedule=cosine.

    A decay rate that is too close to 1 for so many digits is written as one_minus_rho=1e-07.
    """
    known = OPTIMIZERS.get(optimizer or "")
    decays = {name for name, one in known.hyperparameters.items() if one.decay} if known else set[str]()
    return between.join(
        _assignment(name, value, digits, name in decays) for name, value in spelled(optimizer, hparams).items()
    )


def _assignment(name: str, value: Written, digits: int, decay: bool) -> str:
    if not isinstance(value, float):
        return f"{name}={value}"
    short = format(value, f".{digits}g")
    if decay and 1 - CLOSE < value < 1 and float(short) != value:
        return f"{ONE_MINUS}{name}={one_minus(value):.{digits}g}"
    return f"{name}={short}"
