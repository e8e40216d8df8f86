"""Random numbers by purpose: each purpose has its own stream, so that two never share one, whatever their seeds are."""

import enum

import numpy as np


class Purpose(enum.IntEnum):
    """What random numbers are for. It is the first word of their seed."""

    SPLIT = 1
    TRIAL = 2
    DESIGN = 3
    SAMPLER = 4
    WEIGHTS = 5
    BATCHES = 6
    AUDIT = 7
    CONFIRM = 8
    FINALS = 9
    START = 10
    DROPOUT = 11


def generator(purpose: Purpose, *words: int) -> np.random.Generator:
    """A generator for that purpose, the same for the same words."""
    return np.random.default_rng([purpose, *words])


def seed(purpose: Purpose, *words: int) -> int:
    """A 32-bit whole number for that purpose, the same for the same words."""
    return int(np.random.SeedSequence([purpose, *words]).generate_state(1)[0])
