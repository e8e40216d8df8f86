"""The database to use unless another one is given."""

import os

STORAGE = "sqlite:///storage/optbench.db"
STORAGE_VARIABLE = "OPTBENCH_STORAGE"


def storage_url(given: str | None = None) -> str:
    """The database that was given, else the one in the environment variable OPTBENCH_STORAGE, else STORAGE."""
    return given or os.environ.get(STORAGE_VARIABLE) or STORAGE
