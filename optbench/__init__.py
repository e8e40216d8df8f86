"""Honest hyperparameter sweeps of optimizers: many small networks trained in one compiled step.

    import optbench

    study = optbench.run("quickstart")      # trains or continues it; Ctrl-C stops cleanly
    study.best                              # the best trial; study.table() has all trials
    optbench.confirm(study)                 # trains the best configurations again, on fresh seeds
    optbench.compare(study)                 # the verdict on it and the other searches

Importing this package is cheap: everything else is imported on first use, and TensorFlow only to train.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from optbench.api import (
        Arrays,
        Comparison,
        Dataset,
        Study,
        Table,
        compare,
        confirm,
        load,
        load_data,
        open_study,
        run,
        studies,
    )

__all__ = [
    "Arrays",
    "Comparison",
    "Dataset",
    "Study",
    "Table",
    "__version__",
    "compare",
    "confirm",
    "load",
    "load_data",
    "open_study",
    "run",
    "studies",
]


def __getattr__(name: str) -> Any:
    """The public name, from optbench.api, which is imported on first use."""
    if name in __all__:
        return getattr(importlib.import_module("optbench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
