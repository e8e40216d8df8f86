"""The OpenAPI document of the API, made from its table of routes and its pydantic models."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from optbench import __version__
from optbench.service.web.answers import Problem
from optbench.service.web.call import JSON
from optbench.service.web.routes import ROUTES, Route
from optbench.service.web.sweeps import TOML

REFERENCE = "#/components/schemas/{model}"
REFUSED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


@cache
def document() -> dict[str, Any]:
    """The document, as plain data."""
    models = {model for route in ROUTES for model in (route.body, route.answer) if model is not None} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "optbench",
            "version": __version__,
            "description": "Studies, the queue and its workers. Slashes in a study's name stay as they are.",
        },
        "paths": paths,
        "components": {
            "schemas": schema["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _path(route: Route) -> str:
    return re.sub(r"STUDY|NAME", lambda found: f"{{{found[0].lower()}}}", route.path)


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.run.__name__ + ("_of_study" if route.path.endswith("events/STUDY") else ""),
        "summary": route.does,
        "description": f"Needs a token with the scope `{route.scope}`.",
        "parameters": [*_in_path(route), *_in_query(route.query)],
        "responses": _responses(route),
    }
    if route.body is not None:
        content: dict[str, Any] = {JSON: {"schema": _reference(route.body)}}
        if route.toml:
            content[TOML[0]] = {"schema": {"type": "string", "description": "A sweep file."}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _in_path(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"STUDY|NAME", route.path):
        yield {"name": name.lower(), "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    schema = model.model_json_schema()
    for name, part in schema.get("properties", {}).items():
        parts = {key: value for key, value in part.items() if key not in ("description", "title")}
        parts = _inline(parts, schema.get("$defs", {}))
        yield {"name": name, "in": "query", "required": False, "description": part["description"], "schema": parts}


def _inline(part: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its references replaced by what they mean."""
    if isinstance(part, Mapping):
        if "$ref" in part:
            return definitions[part["$ref"].rpartition("/")[2]]
        return {key: _inline(value, definitions) for key, value in part.items()}
    return [_inline(value, definitions) for value in part] if isinstance(part, list) else part


def _responses(route: Route) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}, JSON: {"schema": {}}}
    content = text if route.answer is None else {JSON: {"schema": _reference(route.answer)}}
    found: dict[str, Any] = {
        str(status.value): {"description": status.phrase, "content": content} for status in (route.status, *route.also)
    }
    problem = {JSON: {"schema": _reference(Problem)}}
    return found | {str(status.value): {"description": status.phrase, "content": problem} for status in REFUSED}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}
