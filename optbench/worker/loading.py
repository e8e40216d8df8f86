"""Loads TensorFlow for training, and sets it up for the whole process."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


def load_tensorflow(trainer: str) -> None:
    """Imports TensorFlow and sets its threads for `trainer`. A second call does nothing."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    logging.getLogger("absl").setLevel(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with _standard_error_discarded():
        from optbench.training.tensorflow.build import configure

    try:
        configure(trainer)
    except RuntimeError as problem:  # TensorFlow has already computed something here, for example in a notebook
        log.warning("TensorFlow was in use already, so lanes may train more slowly: %s", problem)


@contextmanager
def _standard_error_discarded() -> Iterator[None]:
    """Discards what TensorFlow's libraries print while they are loaded: they bypass Python's streams."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
