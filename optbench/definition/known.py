"""The known settings of an optimizer: its defaults and its paper's setting, as fixed trials of a search."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optbench.definition.parts import in_space
from optbench.definition.plain import identity
from optbench.definition.space import Dimension
from optbench.definition.sweep import FixedTrial, Sweep
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.contract import Hparams
from optbench.optimizers.knobs import BATCH, batch_of, in_effect

DEFAULTS, PAPER = "Keras' defaults", "the paper's setting"


def known_trials(optimizer: str, space: Mapping[str, Dimension], batch: int) -> list[FixedTrial]:
    """A fixed trial for each known setting that lies in the space, defaults first, with the sweep's batch size.

    A hyperparameter that the space does not search, or fixes, must have the setting's value.
    """
    own = OPTIMIZERS[optimizer]
    settings = {DEFAULTS: own.defaults} | ({} if own.paper is None else {PAPER: own.paper})
    found: list[FixedTrial] = []
    for label, setting in settings.items():
        params = params_inside(optimizer, setting, space, batch)
        if params is not None and not any(_equal(params, other.params) for other in found):
            found.append(FixedTrial(optimizer, params, label=label))
    return found


def with_known(
    optimizer: str, space: Mapping[str, Dimension], batch: int, own: Sequence[FixedTrial]
) -> tuple[FixedTrial, ...]:
    """The fixed trials of a file, after the known settings that are not among them."""
    known = known_trials(optimizer, space, batch)
    return (*(trial for trial in known if not any(_equal(trial.params, other.params) for other in own)), *own)


def is_known(sweep: Sweep, trial: FixedTrial) -> bool:
    """Whether a fixed trial of a search has one of the known settings."""
    known = known_trials(str(sweep.optimizer), sweep.space, sweep.batch)
    return any(_equal(trial.params, one.params) for one in known)


def known_as(sweep: Sweep, held: Sweep | None) -> Sweep:
    """The sweep with the known settings that its existing study `held` has, where its file does not say `known`.

    So a study that was made before there were known settings, or before its optimizer had them, is continued as it is.
    """
    if held is None or sweep.known is not None or not (sweep.searches and held.searches):
        return sweep
    if [identity(trial) for trial in sweep.fixed] == [identity(trial) for trial in held.fixed]:
        return sweep
    own, others = ([identity(t) for t in one.fixed if not is_known(sweep, t)] for one in (sweep, held))
    return replace(sweep, fixed=held.fixed, known=held.known) if own == others else sweep


def params_inside(
    optimizer: str, setting: Hparams, space: Mapping[str, Dimension], batch: int
) -> dict[str, float] | None:
    """The setting, in a sweep with that batch size, under the names of the space; None if it does not lie in it."""
    own = OPTIMIZERS[optimizer]
    try:
        params = in_space(optimizer, own.complete(setting), {}, space, batch, "")
    except DefinitionError:
        return None
    inside, whole = (
        in_effect(own.complete(one)) | {BATCH: float(batch_of(one, batch))} for one in (own.resolve(params), setting)
    )
    return params if _equal(inside, whole) else None


def _equal(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether both have the same names and, but for rounding, the same values: 1 - 0.95 is not quite 0.05."""
    return one.keys() == other.keys() and all(math.isclose(one[name], other[name], rel_tol=1e-9) for name in one)
