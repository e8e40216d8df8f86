"""Writes files whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from optbench.errors import OutputError


def check_writable(path: Path) -> None:
    """Raise OutputError if `write` could not write the file. Call it before minutes of training, not after."""
    path = path.resolve()
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise OutputError(
            f"{path} cannot be written: there is no folder {path.parent}; make it, or choose another file"
        )
    target = path if path.exists() and not path.is_file() else path.parent
    if not os.access(target, os.W_OK):
        raise OutputError(f"{path} cannot be written: no permission; choose another file")


def write(content: bytes, path: Path, private: bool = False) -> None:
    """Write the content to the file, all of it or nothing; directly to a pipe or device. Raises OutputError.

    Other users can never read a `private` file.
    """
    make(lambda file: file.write(content), path, private)


def make(fill: Callable[[BinaryIO], object], path: Path, private: bool = False) -> None:
    """Make a file that `fill` writes, all of it or nothing; directly to a pipe or device. Raises OutputError."""
    check_writable(path)
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                fill(device)
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            whole = Path(folder) / "whole"
            with whole.open("wb") as file:
                fill(file)
            if private:
                whole.chmod(0o600)
            os.replace(whole, path)
    except OSError as problem:
        raise OutputError(f"{path} cannot be written: {problem.strerror}; choose another file") from problem


def check_page(path: Path) -> None:
    """Raise OutputError for a name that is not that of a web page."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path}: the report is a web page; expected a name that ends in .html")
