"""What holds unless something else is given: the database, how workers wait, and what counts as equal."""

import getpass
import os

STORAGE = "sqlite:///storage/optbench.db"
STORAGE_VARIABLE = "OPTBENCH_STORAGE"
GRACE = 20.0
"""Seconds that running trials have to finish after SIGTERM."""
HEARTBEAT_TIMEOUT = 60
"""Seconds after the last heartbeat when a worker counts as dead."""
RETRIES = 2
"""How often the parameters of a trial that crashed its worker are tried again."""
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
