"""Renames a study at the request of the dashboard's page, and keeps everything that belongs to the study."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from optbench.errors import DefinitionError, StudyError
from optbench.service.wsgi import Application, Environment, answer
from optbench.storage import Storage, rename_study

ROUTE = re.compile(r"/api/studies/(\d+)/rename")
MAX_BODY = 65_536  # bytes


class Rename:
    """A WSGI application that answers requests to rename, and passes all others on to optuna-dashboard's.

    It raises StorageError.

    optuna-dashboard renames by copying the trials and deleting the original, so epochs, the metric's name and the
    relation to confirmations would be lost.
    """

    def __init__(self, inner: Application, storage: Storage) -> None:
        self.inner, self.storage = inner, storage

    def __call__(self, environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        route = ROUTE.fullmatch(environment.get("PATH_INFO", ""))
        if route is None or environment["REQUEST_METHOD"] != "POST":
            return self.inner(environment, start)
        name = _wanted_name(environment)
        if name is None:
            return answer(start, "400 Bad Request", {"reason": 'expected {"study_name": "a name"}'})
        try:
            return answer(start, "201 Created", self._renamed(int(route[1]), name))
        except (DefinitionError, StudyError) as problem:
            return answer(start, "400 Bad Request", {"reason": str(problem)})

    def _renamed(self, study_id: int, name: str) -> dict[str, Any]:
        """Rename the study, and describe it as optuna-dashboard's page expects."""
        rename_study(self.storage, study_id, name)
        held = self.storage.optuna.get_study_user_attrs(study_id)
        directions = self.storage.optuna.get_study_directions(study_id)
        return {
            "study_id": study_id,
            "study_name": name,
            "directions": [direction.name.lower() for direction in directions],
            "user_attrs": [
                {"key": key, "value": value if isinstance(value, str) else json.dumps(value)}
                for key, value in held.items()
            ],
            "is_preferential": False,
        }


def _wanted_name(environment: Environment) -> str | None:
    """The new name in the request's body; None if it has none."""
    try:
        length = int(environment.get("CONTENT_LENGTH") or 0)
        body = json.loads(environment["wsgi.input"].read(min(length, MAX_BODY)))
    except ValueError:
        return None
    name = body.get("study_name") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None
