"""Finds the function that [model] build names, and reads its source without running it."""

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optbench.definition.network import BuiltModel
from optbench.errors import DefinitionError, nearest

LARGEST = 30_000  # bytes: the source is kept in the study's definition, of which MySQL keeps at most 65,535
FORM = 'build = "models.py:cnn" or "package.module:cnn"'


def built_model(build: str, arguments: Mapping[str, Any], where: str) -> BuiltModel:
    """The model of a function, with the text of its file or module. Raises DefinitionError, which names `where`."""
    place, colon, function = build.rpartition(":")
    if not colon or not place or not function.isidentifier():
        raise DefinitionError(f"{where}: build = {build!r}; expected a file or a module with a function: {FORM}")
    in_file = place.endswith(".py")
    path = Path(place).absolute() if in_file else _module_file(place, build, where)
    source = _text(path, build, where)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as problem:
        raise DefinitionError(f"{where}: build = {build!r}, but {path} is not valid Python: {problem}") from problem
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in names:
        raise DefinitionError(f"{where}: {path} has no function {function!r}; {nearest(function, names)}")
    return BuiltModel(f"{path if in_file else place}:{function}", source, dict(arguments))


def _module_file(name: str, build: str, where: str) -> Path:
    """The file of a module that Python finds."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError) as problem:
        raise DefinitionError(f"{where}: build = {build!r}: {problem}; expected {FORM}") from problem
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise DefinitionError(f"{where}: build = {build!r}, but Python finds no such module; expected {FORM}")
    return Path(found.origin)


def _text(path: Path, build: str, where: str) -> str:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        raise DefinitionError(f"{where}: build = {build!r}, but {path} cannot be read: {reason}") from problem
    if (size := len(source.encode())) > LARGEST:
        raise DefinitionError(
            f"{where}: {path} has {size:,} bytes; expected at most {LARGEST:,}, because the study keeps them: put the "
            "function in a file of its own"
        )
    return source
