"""The plan of a study's budget: each slot's optimizer, seed, and parameters unless a sampler draws them.

A study of n trials has the slots 0 to n - 1. Each is finished exactly once, whatever is interrupted in between. The
fixed trials come first. Random, quasi-random and grid points depend only on the slot, so that no restart repeats or
skips one. Only TPE uses the results so far.
"""

import numpy as np

from optbench.definition.space import Choice, grid_size, point
from optbench.definition.sweep import Grid, Qmc, RandomSampler, Sweep, Tpe
from optbench.randomness import Purpose, generator, seed


def optimizer_of(sweep: Sweep, slot: int) -> str:
    """The optimizer that the slot trains with."""
    return sweep.fixed[slot].optimizer if slot < len(sweep.fixed) else str(sweep.optimizer)


def seed_of(sweep: Sweep, slot: int) -> int:
    """The seed of the slot's initial weights and batch order."""
    fixed = sweep.fixed[slot].seed if slot < len(sweep.fixed) else None
    return seed(Purpose.TRIAL, sweep.seed, slot) if fixed is None else fixed


def audited(sweep: Sweep, slot: int) -> bool:
    """Whether the slot's trial runs on although the pruner would end it."""
    fraction = sweep.pruner.audit
    return fraction > 0 and bool(generator(Purpose.AUDIT, sweep.seed, slot).random() < fraction)


def params_of(sweep: Sweep, slot: int) -> dict[str, float] | None:
    """The slot's parameters; None if the sampler has to draw them."""
    if slot < len(sweep.fixed):
        return dict(sweep.fixed[slot].params)
    if isinstance(sweep.sampler, Tpe):
        return None
    return point(sweep.space, _unit(sweep, slot - len(sweep.fixed)))


def _unit(sweep: Sweep, index: int) -> list[float]:
    """Point `index` of the design in the unit cube, one coordinate per dimension of the space."""
    sampler, d = sweep.sampler, len(sweep.space)
    if isinstance(sampler, RandomSampler):
        return list(generator(Purpose.DESIGN, sweep.seed, index).random(d))
    if isinstance(sampler, Grid):
        return _grid_point(sweep, sampler.points, index)
    assert isinstance(sampler, Qmc)
    from scipy.stats import qmc  # slow to import, and rarely needed

    design = qmc.Halton if sampler.qmc_type == "halton" else qmc.Sobol
    engine = design(d, scramble=sampler.scramble, rng=generator(Purpose.DESIGN, sweep.seed))
    if index:
        engine.fast_forward(index)
    return list(engine.random(1)[0])


def _grid_point(sweep: Sweep, points: int, index: int) -> list[float]:
    """Point `index` of the grid, in a seeded order: each range has `points` evenly spaced values on its scale."""
    axes = []
    for dimension in sweep.space.values():
        if isinstance(dimension, Choice):
            axes.append((np.arange(len(dimension.values)) + 0.5) / len(dimension.values))
        else:
            axes.append(np.linspace(0, 1, points))
    order = generator(Purpose.DESIGN, sweep.seed).permutation(grid_size(sweep.space, points))
    place = np.unravel_index(order[index], [len(axis) for axis in axes])
    return [float(axis[i]) for axis, i in zip(axes, place, strict=True)]
