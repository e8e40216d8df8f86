"""Puts a file in its place: all of it or nothing."""

import os
import tempfile
from pathlib import Path

from optbench.errors import StudyError


def write(content: bytes, path: Path) -> None:
    """Put the content into the file, all of it or none; into a pipe or a device, as it is. Raises StudyError."""
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
        raise StudyError(f"{path} cannot be written: {problem.strerror}; choose another file") from problem
