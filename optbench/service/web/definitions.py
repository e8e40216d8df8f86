"""Makes a sweep from the body of a request. Files come in only from the folder that the server was started with."""

import json
import re
import tomllib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from optbench.data.tables import check_there
from optbench.definition import parse
from optbench.definition.function import module_file
from optbench.definition.sweep import Sweep
from optbench.errors import OptbenchError
from optbench.service.web.refusals import RefusalError

WHERE = "the definition"
FILES = {"data": ("file", "test_file"), "model": ("build",)}
"""The keys that name a file, by their tables; [model] build may name a module, too."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_-]+)?(:\d+(\.\d+){0,2})?")
"""A data set's name, with its configuration and version. tensorflow-datasets runs code of others for names such as
huggingface:mnist, and reads folders for names with dots."""


def read_toml(body: bytes) -> dict[str, object]:
    """The table in the body. Raises RefusalError."""
    try:
        return tomllib.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"the body is not readable as TOML: {problem}") from problem


def read_json(body: bytes) -> object:
    """What the body holds. Raises RefusalError, also for text that no database can keep."""
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as problem:
        raise RefusalError(HTTPStatus.BAD_REQUEST, f"the body is not readable as JSON: {problem}") from problem
    return found


def sweep_of(table: Mapping[str, object], folder: Path | None) -> Sweep:
    """The sweep that the table defines, with its files in `folder` (None: it may name none).

    Raises RefusalError: 403 for a file that is elsewhere, before it is looked at, and 422 for a wrong definition.
    """
    places: dict[str, str] = {}
    try:
        sweep = parse(_located(table, folder, places), WHERE)
        if sweep.data.file is not None:
            check_there(sweep.data.file)
    except OptbenchError as problem:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, _as_given(str(problem), places)) from problem
    except RecursionError as problem:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{WHERE}: is nested too deeply") from problem
    return sweep


def _as_given(message: str, places: Mapping[str, str]) -> str:
    """The message with the paths that the definition has, because nobody need know where the server's folder is."""
    for path in sorted(places, key=len, reverse=True):  # one path may begin with another one
        message = message.replace(path, places[path])
    return message


def _located(table: Mapping[str, object], folder: Path | None, places: dict[str, str]) -> dict[str, object]:
    """The table with absolute paths; `places` gets what was given for each.

    Symbolic links are followed first, so that none leads out of the folder.
    """
    found = dict(table)
    for name, keys in FILES.items():
        held = table.get(name)
        if isinstance(held, Mapping):
            own = {
                key: _checked(f"[{name}] {key}", held[key], folder, places)
                for key in keys
                if isinstance(held.get(key), str)
            }
            found[name] = {**held, **own}
    data = table.get("data")
    named = data.get("name") if isinstance(data, Mapping) else None
    if isinstance(named, str) and not PLAIN_NAME.fullmatch(named):
        raise RefusalError(
            HTTPStatus.FORBIDDEN,
            f"[data] name = {named[:200]!r} is not the plain name of a data set, and this server takes no other",
        )
    return found


def _checked(key: str, given: str, folder: Path | None, places: dict[str, str]) -> str:
    """The value with its path made absolute, which `places` then knows.

    Raises RefusalError unless the path lies in the folder.
    """
    if folder is None:
        raise RefusalError(
            HTTPStatus.FORBIDDEN,
            f"{key} = {given[:200]!r} names a file, and this server takes none: start it with --sweeps DIR, or use "
            "`optbench submit` on its machine",
        )
    place, colon, function = given.rpartition(":") if key == "[model] build" else (given, "", "")
    if key == "[model] build" and not place:
        return given  # without a file it is wrong, as `parse` says
    module = bool(colon) and not place.endswith(".py")
    try:
        path = module_file(place) if module else folder / place
        inside = path is not None and path.resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):  # no file can have this name, or its links go round in circles
        inside = False
    if path is None or not inside:
        raise RefusalError(
            HTTPStatus.FORBIDDEN, f"{key} = {given[:200]!r} is not in the folder that this server takes files from"
        )
    if module:
        return given
    absolute = str(path.resolve())
    places[absolute] = place
    return f"{absolute}{colon}{function}"
