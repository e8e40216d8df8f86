"""Loads TensorFlow for the commands that train, and sets up what concerns the whole process."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tensorflow(trainer: str) -> Iterator[None]:
    """Imports TensorFlow and sets it up; what its libraries say on loading, below Python, goes nowhere."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    logging.getLogger("absl").setLevel(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        from optbench.training.tensorflow.build import configure

        configure(trainer)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
