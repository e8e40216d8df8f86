"""The database to use unless another one is given, and what counts as equal."""

import getpass
import os

STORAGE = "sqlite:///storage/optbench.db"
STORAGE_VARIABLE = "OPTBENCH_STORAGE"
EQUAL = 0.1
"""The difference in percentage points that counts as equal."""


def storage_url(given: str | None = None) -> str:
    """The database that was given, else the one in the environment variable OPTBENCH_STORAGE, else STORAGE."""
    return given or os.environ.get(STORAGE_VARIABLE) or STORAGE


def user_name() -> str:
    """The name of the user of this process; unknown where the system has none, for example in a bare container."""
    try:
        return getpass.getuser()[:100]
    except (OSError, KeyError):
        return "unknown"
