"""Finds the function that [model] build names, and reads its source without running or importing anything."""

import ast
import json
import math
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from optbench.definition.network import BuiltModel
from optbench.errors import DefinitionError, nearest

LARGEST = 30_000  # bytes as JSON: the source is kept in the study's definition, of which MySQL keeps at most 65,535
FORM = 'build = "models.py:cnn" or "package.module:cnn"'
PARAMETERS = ["shape", "classes"]


def function_model(build: str, arguments: Mapping[str, Any], where: str) -> BuiltModel:
    """The model of a function, with the text of its file or module. Raises DefinitionError, which names `where`."""
    place, colon, function = build.rpartition(":")
    in_file = place.endswith(".py")
    if not colon or not place or not function.isidentifier() or not (in_file or _is_module(place)):
        raise DefinitionError(f"{where}: build = {build!r}; expected a file or a module with a function: {FORM}")
    path = Path(place).absolute() if in_file else module_file(place)
    if path is None:
        raise DefinitionError(
            f"{where}: build = {build!r}, but Python finds no such module with a .py file; expected {FORM}"
        )
    source = _text(path, build, where)
    try:
        problem = unsuitable(source, function)
    except (SyntaxError, ValueError) as error:
        raise DefinitionError(f"{where}: build = {build!r}, but {path} is not valid Python: {_place(error)}") from error
    if problem:
        raise DefinitionError(f"{where}: {path} {problem}")
    _check_arguments(arguments, where)
    return BuiltModel(f"{path if in_file else place}:{function}", source, dict(arguments))


def module_file(name: str) -> Path | None:
    """The file of a module; None if there is none. `find_spec` would import the packages that the module is in."""
    first, *rest = name.split(".")
    found = PathFinder.find_spec(first)
    for part in rest:
        if found is None or found.submodule_search_locations is None:
            return None
        found = PathFinder.find_spec(part, found.submodule_search_locations)
    file = None if found is None else found.origin
    return Path(file) if file is not None and file.endswith(".py") else None


def unsuitable(source: str, function: str) -> str | None:
    """Why the source does not define such a function, in words; None if it does. Raises SyntaxError or ValueError.

    The first parameters have to be called as they are, so that no other function can be meant by mistake or on purpose.
    """
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    if function not in functions:
        return (
            f"defines no function {function!r} itself (an imported one does not count); {nearest(function, functions)}"
        )
    given = [argument.arg for argument in functions[function].args.args]
    if given[:2] != PARAMETERS:
        return f"has {function}({', '.join(given)}); expected {function}({', '.join(PARAMETERS)}, ...)"
    return None


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _text(path: Path, build: str, where: str) -> str:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        raise DefinitionError(f"{where}: build = {build!r}, but {path} cannot be read: {reason}") from problem
    if (size := len(json.dumps(source))) > LARGEST:
        raise DefinitionError(
            f"{where}: {path} has {size:,} bytes; expected at most {LARGEST:,}, because the study keeps them: put the "
            "function in a file of its own"
        )
    return source


def _check_arguments(arguments: Mapping[str, Any], where: str) -> None:
    """Raise DefinitionError for arguments that a database cannot hold as they are."""
    for name, value in arguments.items():
        if not name.isidentifier() or name in PARAMETERS or not _is_plain(value):
            raise DefinitionError(
                f"{where}: arguments has {name} = {value!r}; expected finite numbers, texts, true or false, and lists "
                f"and tables of them, for parameters other than {' and '.join(PARAMETERS)}"
            )


def _is_plain(value: Any) -> bool:
    match value:
        case bool() | str() | None:
            return True
        case int() | float():
            return abs(value) <= sys.float_info.max and not math.isnan(value)
        case list():
            return all(map(_is_plain, value))
        case dict():
            return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return False


def _place(error: Exception) -> str:
    """The error and its line, without the name of the file, which the parser does not know."""
    return f"{error.msg} in line {error.lineno}" if isinstance(error, SyntaxError) else str(error)
