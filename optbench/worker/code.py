"""Decides whether the Python function that makes a study's networks may run in this process."""

import logging
from importlib.util import find_spec
from pathlib import Path

from optbench.definition.network import BuiltModel
from optbench.errors import StudyError, tolerated

log = logging.getLogger(__name__)


def check_code(model: BuiltModel, allowed: bool) -> None:
    """Raise StudyError unless the function's file here has the text that the study keeps, or `allowed` is true.

    Whoever can write to the database could otherwise run code on every worker.
    """
    here = _file(model)
    with tolerated(log, "the function's file cannot be read", OSError, ValueError):
        if here is not None and here.read_text(encoding="utf-8") == model.source:
            return
    if not allowed:
        there = here is not None and here.exists()
        found = f"{here} has another text" if there else f"there is no {model.place} here"
        raise StudyError(
            f"the study keeps the function {model.shown} (sha256 {model.sha256}), but {found}; restore the file, or if "
            "you trust whoever can write to the database, let its text run: --allow-code"
        )


def _file(model: BuiltModel) -> Path | None:
    """The file of the function on this machine; None if Python finds no such module."""
    if model.file is not None:
        return model.file
    with tolerated(log, "no such module", ImportError, ValueError):
        found = find_spec(model.place)
        return Path(found.origin) if found is not None and found.origin else None
    return None
