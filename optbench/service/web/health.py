"""Whether the service is ready to be used: its database answers, has our tables, and nobody stops the server."""

import logging
from http import HTTPStatus

from werkzeug import Response

from optbench.errors import StorageError
from optbench.service.web.call import Service, answer
from optbench.storage.check import check_schema, look

log = logging.getLogger(__name__)


def readiness(service: Service) -> Response:
    """200 if the service can be used, else 503 with what is wrong."""
    if service.stopping.is_set():
        return _unready("the server is stopping")
    url = service.storage.url
    try:
        found = look(url)
        if found.blank:
            return _unready("the database is missing or empty")
        check_schema(url, found, create=False)
    except StorageError as problem:
        log.info("not ready: %s", problem)
        return _unready("the database does not answer, or has other tables; the server's log says why")
    return answer({"ready": True})


def _unready(why: str) -> Response:
    return answer({"ready": False, "error": why}, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "5"})
