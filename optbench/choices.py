"""Enums that the command line and other light modules need, in a module that imports nothing heavy."""

from enum import StrEnum


class TrainerName(StrEnum):
    """LANES trains many trials side by side. REFERENCE trains one trial at a time with stock Keras."""

    LANES = "lanes"
    REFERENCE = "reference"


class Scale(StrEnum):
    """How inputs are scaled: divided by 255, standardized by the training part, or not at all."""

    UNIT = "unit"
    STANDARD = "standard"
    NONE = "none"


class Missing(StrEnum):
    """What becomes of missing values: the mean of the column's training part, or the row is dropped."""

    MEAN = "mean"
    DROP = "drop"


class Engine(StrEnum):
    """What starts the workers of a sweep, and on which machines."""

    LOCAL = "local"
    RAY = "ray"
    SLURM = "slurm"


class ScriptKind(StrEnum):
    """For what `optbench launch-script` writes a script."""

    SLURM = "slurm"
    KUBERNETES = "kubernetes"
    SYSTEMD = "systemd"
