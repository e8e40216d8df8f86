"""A request on its way through the service: what it asks for, who asks, and how it is answered."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from werkzeug import Request, Response

from optbench.errors import StudyError
from optbench.exports.records import finite
from optbench.service.web.definitions import read_json
from optbench.service.web.gate import Caller, Gate
from optbench.service.web.kept import Kept
from optbench.service.web.refusals import RefusalError
from optbench.service.web.sessions import Lines
from optbench.service.web.snapshot import Snapshots
from optbench.service.web.wording import wrong
from optbench.storage import Storage, StudyRecord, find_study, shown

MAX_BODY = 1024 * 1024  # bytes
JSON = "application/json"
Model = TypeVar("Model", bound=BaseModel)


class BoundedRequest(Request):
    """A request of which at most MAX_BODY bytes are read: more raises an error of werkzeug that becomes 413."""

    max_content_length = MAX_BODY
    max_form_memory_size = MAX_BODY
    max_form_parts = 100


@dataclass(frozen=True, kw_only=True)
class Service:
    """What all requests share.

    `readiness` has what is wrong with the database; None: nothing. `sweeps` is the resolved folder that files of
    definitions come from; None: nowhere. `refusals` are what the page has yet to say of its buttons.
    """

    storage: Storage
    gate: Gate
    snapshots: Snapshots
    readiness: Kept[str | None]
    sweeps: Path | None = None
    refusals: Lines = field(default_factory=Lines)
    submitting: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. `name` is the study or the worker in its path; empty if there is none."""

    service: Service
    request: Request
    caller: Caller
    name: str = ""

    @property
    def storage(self) -> Storage:
        """The database."""
        return self.service.storage

    def study(self) -> StudyRecord:
        """The study in the path. Raises RefusalError."""
        try:
            if self.name.isprintable():
                return find_study(self.storage, self.name)
            raise StudyError("there is no study of that name")
        except StudyError as problem:
            raise RefusalError(HTTPStatus.NOT_FOUND, hide_url(self.storage, str(problem))) from problem

    def query(self, model: type[Model]) -> Model:
        """What the query asks for. Raises RefusalError."""
        try:
            unquote_to_bytes(self.request.query_string).decode()
        except UnicodeDecodeError as problem:  # werkzeug would take %ff for the text "%FF"
            raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "the query is not UTF-8") from problem
        given = self.request.args
        for key in given:
            if len(given.getlist(key)) > 1:
                raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{key!r} is there more than once")
        try:
            return model.model_validate_strings(dict(given))  # all is text here, numbers, too
        except ValidationError as problem:
            raise _refused(model, problem) from None

    def json(self, model: type[Model]) -> Model:
        """What the body in JSON asks for. Raises RefusalError."""
        if self.request.mimetype != JSON:
            raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected a body with Content-Type: {JSON}")
        return validated(model, read_json(self.request.get_data()))


def validated(model: type[Model], given: object) -> Model:
    """The given data as that model. Raises RefusalError, which names the key and what is expected."""
    try:
        return model.model_validate(given)
    except ValidationError as problem:
        raise _refused(model, problem) from None


def _refused(model: type[BaseModel], problem: ValidationError) -> RefusalError:
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, wrong(problem.errors(include_url=False), model.model_fields))


def answer(content: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """A response in JSON."""
    text = json.dumps(finite(content), default=str, allow_nan=False, ensure_ascii=False)
    found = Response(text.encode("utf-8", "replace") + b"\n", status, content_type=JSON)
    found.headers.extend({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})})
    return found


def hide_url(storage: Storage, message: str) -> str:
    """The message without the database's URL and file: who may use the API need not know where the database is."""
    url = shown(storage.url)
    said = message.replace(f" in {url}", "").replace(url, "the database")
    return said if storage.path is None else said.replace(str(storage.path), "the database")
