"""Decides whether the Python function that makes a study's networks may run in this process."""

import logging
import os
import shlex
import stat
from dataclasses import replace
from pathlib import Path

from optbench.definition.function import module_file, unsuitable
from optbench.definition.network import BuiltModel, Model
from optbench.errors import StudyError, tolerated

log = logging.getLogger(__name__)
ALLOW = "add --allow-code to `optbench resume`, finals, confirm, replay, export or worker"


def from_own_file(model: Model, place: str | None) -> Model:
    """The model with its function taken from `place`, a file or module here, if that has the text that the study keeps.

    The study may have been made with the same function in another folder, where this machine has no file.
    """
    if not isinstance(model, BuiltModel) or place is None:
        return model
    own = replace(model, build=f"{place}:{model.function}")
    here = own.file or module_file(own.place)
    return own if here is not None and here.is_file() and _has_text(here, model) else model


def check_code(model: Model, allowed: bool) -> None:
    """Raise StudyError unless the function's file here has the text that the study keeps, or `allowed` is true.

    Whoever can write to the database could otherwise run code on every worker. Path, function and arguments come from
    the database, too. So the file has to belong to this user or to root, nobody else may write it, and the function has
    to be one that makes models.
    """
    if not isinstance(model, BuiltModel) or allowed:
        return
    here = model.file or module_file(model.place)
    if here is None or not here.is_file():
        found = f"there is no {model.place} here"
    elif not _has_text(here, model):
        found = f"{here} has another text"
    elif not _is_ours(here):
        raise StudyError(f"{here} does not run, because {_whose(here)}; if you trust it, {ALLOW}")
    else:
        return
    raise StudyError(
        f"the study keeps the function {model.shown} (sha256 {model.sha256}), but {found}; restore the file, or if you "
        f"trust whoever can write to the database, let its text run: {ALLOW}"
    )


def _whose(file: Path) -> str:
    """Why a file is not trusted, and what to do about it."""
    if file.stat().st_uid in (0, os.geteuid()):
        return f"everybody can write it; type `chmod o-w {shlex.quote(str(file))}`"
    return "it belongs to another user; copy it to a file of yours"


def _has_text(file: Path, model: BuiltModel) -> bool:
    with tolerated(log, "the function's file cannot be used", OSError, ValueError, SyntaxError):
        return file.read_text(encoding="utf-8") == model.source and unsuitable(model.source, model.function) is None
    return False


def _is_ours(file: Path) -> bool:
    """Whether the file belongs to this user or to root, and not everybody can write it; true on Windows."""
    if not hasattr(os, "geteuid"):
        return True
    held = file.stat()
    return held.st_uid in (0, os.geteuid()) and not held.st_mode & stat.S_IWOTH
