"""Where studies are kept unless somebody says otherwise."""

import os

STORAGE = "sqlite:///storage/optbench.db"
STORAGE_VARIABLE = "OPTBENCH_STORAGE"


def storage_url(given: str | None = None) -> str:
    """The database that was given, else that of the environment variable OPTBENCH_STORAGE, else STORAGE."""
    return given or os.environ.get(STORAGE_VARIABLE) or STORAGE
