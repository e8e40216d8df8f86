"""Whether the service is ready to be used: its database answers, has our tables, and nobody stops the server."""

import logging
from http import HTTPStatus

from werkzeug import Response

from optbench.errors import StorageError
from optbench.service.web.call import Service, answer
from optbench.service.web.kept import Kept
from optbench.storage import Storage
from optbench.storage.check import check_schema, look

UNUSABLE = "the database does not answer, or has other tables; the server's log says why"
log = logging.getLogger(__name__)


def readiness(service: Service) -> Response:
    """200 if the service can be used, else 503 with what is wrong."""
    why = "the server is stopping" if service.stopping.is_set() else _why_unusable(service)
    if why is None:
        return answer({"ready": True})
    return answer({"ready": False, "error": why}, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "5"})


def _why_unusable(service: Service) -> str | None:
    try:
        return service.readiness.get()
    except StorageError as problem:
        log.warning("not ready: %s", problem)
        return UNUSABLE


def readiness_of(storage: Storage) -> Kept[str | None]:
    """What is wrong with the database, None if nothing is; each look at it opens a connection."""

    def look_at_it() -> str | None:
        found = look(storage.url)
        if found.blank:
            return "the database is missing or empty"
        check_schema(storage.url, found, create=False)
        return None

    return Kept(look_at_it)
