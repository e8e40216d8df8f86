"""How a request that fails is answered: programs get one line in JSON, and browsers a small page with that line."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from optbench.errors import StorageError
from optbench.service.web import pages
from optbench.service.web.call import JSON, answer
from optbench.service.web.refusals import RefusalError, on_one_line
from optbench.service.wsgi import FAILED, RETRY, UNREACHABLE, log_unanswered

PAGE = "text/html"
log = logging.getLogger(__name__)


def problem_answer(problem: Exception, request: Request) -> Response:
    """The answer to the request that ended with this exception. Nothing of it but one line is shown."""
    match problem:
        case RefusalError():
            return refused(request, str(problem), problem.status, problem.headers)
        case HTTPException():
            return _explained(problem, request)
        case StorageError():
            log_unanswered(problem)
            return refused(request, UNREACHABLE, HTTPStatus.SERVICE_UNAVAILABLE, dict([RETRY]))
    log.error("%s %s failed: %s", request.method, on_one_line(request.path), type(problem).__name__)
    log.debug("the traceback of that", exc_info=problem)
    return refused(request, FAILED, HTTPStatus.INTERNAL_SERVER_ERROR)


def refused(request: Request, line: str, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response:
    """The line as an answer, in the form that the request accepts."""
    line = on_one_line(line)
    if request.accept_mimetypes.best_match([JSON, PAGE]) == PAGE:
        return pages.failure(line, status, headers, tries_again=request.method == "GET")
    return answer({"error": line}, status, headers)


def _explained(problem: HTTPException, request: Request) -> Response:
    """The answer to an error of werkzeug."""
    status, path = HTTPStatus(problem.code or 500), quote(request.path)[:200]
    said = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {path}; /v1/docs lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not for {path}",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than 1 MiB",
    }.get(status, f"{status.phrase.lower()}: the request cannot be read")
    allowed = problem.valid_methods if isinstance(problem, MethodNotAllowed) else None
    return refused(request, said, status, {"Allow": ", ".join(sorted(allowed))} if allowed else None)
