"""Writes hyperparameters for people and files: a schedule by its name, a batch size as a whole number."""

from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.contract import Hparams, Kind, Written
from optbench.optimizers.knobs import KNOBS, knobs_of

SPELLED = (Kind.NAME, Kind.COUNT)


def spelled(optimizer: str | None, hparams: Hparams) -> dict[str, Written]:
    """The hyperparameters of an optimizer as files have its knobs; those of other programs' trials as they are."""
    known = OPTIMIZERS.get(optimizer or "")
    knobs = frozenset[str]() if known is None else knobs_of(known)
    named = {name for name in knobs if KNOBS[name].kind in SPELLED}
    return {name: KNOBS[name].written(value) if name in named else value for name, value in hparams.items()}


def on_one_line(optimizer: str | None, hparams: Hparams, digits: int = 4, between: str = " ") -> str:
    """Hyperparameters as people read them: learning_rate=0.001 schedule=cosine."""
    return between.join(
        f"{name}={format(value, f'.{digits}g') if isinstance(value, float) else value}"
        for name, value in spelled(optimizer, hparams).items()
    )
