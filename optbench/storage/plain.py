"""Gives a study as Optuna's own class, for code that knows Optuna and not optbench."""

import optuna

from optbench.storage.opening import open_storage
from optbench.storage.study_reader import find_study


def optuna_study(url: str, name: str) -> optuna.study.Study:
    """The study of that name. Raises StudyError, StorageError."""
    storage = open_storage(url)
    find_study(storage, name)
    return optuna.load_study(study_name=name, storage=storage.optuna)
