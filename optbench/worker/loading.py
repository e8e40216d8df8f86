"""Loads TensorFlow for training, and sets it up for the whole process."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

log = logging.getLogger(__name__)
UNUSED = ("jax", "sklearn")
"""Packages that TensorFlow and Keras import where they are installed, for converters and wrappers not used here."""


def load_tensorflow(trainer: str, threads: int | None = None) -> None:
    """Imports TensorFlow and sets its threads for `trainer`: `threads`, or one per core. A second call does nothing."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    logging.getLogger("absl").setLevel(logging.ERROR)
    if _own_process():
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every further batch size
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever backend a person uses for other programs
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with _standard_error_discarded(), hidden(UNUSED if _own_process() else ()), uncollected():
        from optbench.training.tensorflow.build import configure

    try:
        configure(trainer, threads)
    except RuntimeError as problem:  # TensorFlow has already computed something here, for example in a notebook
        log.warning("TensorFlow was in use already, so lanes may train more slowly: %s", problem)


def _own_process() -> bool:
    """Whether this is a process of optbench's, and not a script or notebook, which may use what was hidden."""
    return "optbench.cli" in sys.modules or getattr(sys.modules["__main__"], "__package__", None) == "optbench.worker"


@contextmanager
def hidden(names: Sequence[str]) -> Iterator[None]:
    """Makes imports of these packages fail, unless they are loaded: TensorFlow then loads in two thirds of the time."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules |= dict.fromkeys(absent)  # type: ignore[arg-type]  # None makes an import fail
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextmanager
def uncollected() -> Iterator[None]:
    """Switches the garbage collector off: it frees nothing in an import, but takes a sixth of TensorFlow's time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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
