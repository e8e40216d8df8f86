"""Files that hold secrets: only their owner may read them."""

import os
import shlex
from pathlib import Path

from optbench.errors import DefinitionError


def private_state(path: Path, named: str) -> os.stat_result:
    """The file's state. Raises DefinitionError, in which the file is `named`, if others can read it, and OSError."""
    found = path.stat()
    if os.name == "posix" and found.st_mode & 0o077:
        raise DefinitionError(f"{named}: other users can read it; type `chmod 600 {shlex.quote(str(path))}`")
    return found
