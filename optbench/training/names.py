"""The names of the trainers, in a module that imports nothing heavy, so that the command line can use it."""

import enum


class TrainerName(enum.StrEnum):
    """LANES trains many trials in one compiled step. REFERENCE trains one trial at a time with stock Keras."""

    LANES = "lanes"
    REFERENCE = "reference"
