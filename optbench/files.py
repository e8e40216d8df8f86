"""Writes files whole or not at all."""

import os
import tempfile
from pathlib import Path

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


def write(content: bytes, path: Path) -> None:
    """Write the content to the file, all of it or nothing; directly to a pipe or device. Raises OutputError."""
    check_writable(path)
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            whole = Path(folder) / "whole"
            whole.write_bytes(content)
            os.replace(whole, path)
    except OSError as problem:
        raise OutputError(f"{path} cannot be written: {problem.strerror}; choose another file") from problem


def check_page(path: Path) -> None:
    """Raise OutputError for a name that is not that of a web page."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path}: the report is a web page; expected a name that ends in .html")
