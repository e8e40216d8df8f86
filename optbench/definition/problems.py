"""Says in one line what pydantic finds wrong in a sweep file: the key, the given value and what is expected."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from optbench.definition import models
from optbench.definition.data_models import FileTable
from optbench.definition.sweep import PRUNERS, SAMPLERS
from optbench.errors import DefinitionError, nearest
from optbench.optimizers.knobs import KNOBS, SCHEDULE, SCHEDULES

LONGEST = 300  # characters of a given value that a message repeats
Path = Sequence[int | str]

KINDS = {
    "bool_type": "true or false",
    "dict_type": "a table of keys",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a table of keys",
    "string_type": "a text in quotes",
}
EXPECTED = {
    "audit": "a fraction from 0 to 1",
    "budget": "a fraction from 0 to 1",
    "data": "a table of keys",
    "file": "a path in quotes, or in Python an optbench.Dataset",
    "finals": "a table of keys, true or false",
    "hidden": "a list of whole numbers above 0, for example [128]",
    "published_test_accuracy": "0 to 1",
    "seeds": "a list of different whole numbers, 0 or more",
    "test": "a fraction above 0 and below 1",
    "trial": "a list of tables: [[trial]]",
    "validation": "a number of examples, or a fraction below 1",
}
MISSING = {
    "name": "a text in quotes",
    "validation": "a number of examples, or a fraction below 1",
    "study": "a study's name in quotes",
    "low": "a number",
    "high": "a number",
    "data": "a table of keys",
}
OF_A_SPACE = "{ low = .., high = .., log = true }, a list of different numbers, or a number"
OF_A_SCHEDULE = f'a name or a list of names ({", ".join(SCHEDULES)}): try {SCHEDULE} = "cosine"'


def problem(
    errors: Sequence[ErrorDetails], table: Mapping[str, Any], where: str, flags: Collection[str]
) -> DefinitionError:
    """The error to raise for the first of pydantic's errors. Unknown keys come first: a missing key may be misspelt.

    `where` names the file, and `flags` are the keys that come from the command line.
    """
    error = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    path = _path(error["loc"])
    key, home = str(path[-1]), place(path[:-1], where)
    if path[:2] == ["space", SCHEDULE]:
        return refused(SCHEDULE, table["space"][SCHEDULE], OF_A_SCHEDULE, place(path[:1], where), ())
    if error["type"] == "extra_forbidden":
        return DefinitionError(_unknown(path, home, _keys(error["loc"])))
    if error["type"] == "missing" and path == ["data", "name"]:
        return DefinitionError(f"{home} has neither name nor file; expected one of them")
    if error["type"] == "missing":
        return DefinitionError(f"{home}: {key!r} is missing; expected {MISSING.get(key, 'a whole number')}")
    if error["type"] == "union_tag_invalid":
        tag = str(error["ctx"]["tag"])
        return DefinitionError(
            f"{place(path, where)}: unknown name {tag!r}; {nearest(tag, SAMPLERS if key == 'sampler' else PRUNERS)}"
        )
    given = _given(table, path)
    if error["type"] == "literal_error":
        options = re.findall("'([^']+)'", error["ctx"]["expected"])
        return DefinitionError(f"{home}: unknown {key} {given!r}; {nearest(str(given), options)}")
    if isinstance(path[-1], int):
        return DefinitionError(f"{place(path, where)}: expected a table of keys, got {given!r}")
    return refused(key, given, _expected(error, path), home, flags if len(path) == 1 else ())


def _unknown(path: Path, home: str, known: Collection[str]) -> str:
    """What is wrong with the key at the end of the path, which the table `home` does not have."""
    key = str(path[-1])
    if len(path) == 1 and key in KNOBS:
        return f"{home}: unknown key {key!r} here; it belongs in [space]: `optbench docs knobs`"
    if path == ["data", "name"]:
        return f"{home} has both name and file; expected one of them"
    if path[:-1] == ["data"] and key in FileTable.model_fields:
        return f"{home}: {key!r} is for a file, and this data set has a name; leave it out"
    return f"{home}: unknown key {key!r}; {nearest(key, known)}"


def refused(key: str, given: Any, expected: str, where: str, flags: Collection[str]) -> DefinitionError:
    """The error for a value that is not allowed. It names the file or the flag that the value came from."""
    if key in flags:
        return DefinitionError(f"--{key} {given}: expected {expected}")
    shown = " ".join(repr(given).split())
    return DefinitionError(f"{where}: {key} = {shortened(shown)}; expected {expected}")


def shortened(text: str) -> str:
    """The text, or its beginning if it is long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def place(path: Path, where: str) -> str:
    """The table at that path, in words."""
    match path:
        case []:
            return where
        case ["trial", int() as index]:
            return f"{where} [[trial]] {index + 1}"
        case [table, *rest]:
            return " ".join([where, f"[{table}]", *map(str, rest)])
    raise AssertionError(path)


def _path(loc: Path) -> list[int | str]:
    """The keys that lead to an error in the file. Pydantic's path also has the kinds of unions and indexes of lists."""
    match loc:
        case ["sampler" | "pruner" as role, _, *rest]:
            return [role, *rest[:1]]
        case ["space", name, "range", *rest]:
            return ["space", name, *rest[:1]]
        case ["finals" | "data" | "model" as table, _, *rest]:
            return [table, *rest[:1]]
        case ["trial", int() as index, *rest]:
            return ["trial", index, *rest[:1]]
    return list(loc[:2])


def _keys(loc: Path) -> Collection[str]:
    """The keys that the table of an unknown key may have."""
    match loc:
        case ["space", *_]:
            return models.RangeTable.model_fields
        case ["sampler" | "pruner", str() as name, _]:
            return models.KINDS[name].model_fields
        case ["finals", *_]:
            return models.FinalsTable.model_fields
        case ["data" | "model", str() as kind, _]:
            return models.KINDS[kind].model_fields
        case ["start", _]:
            return models.StartTable.model_fields
    return models.SweepTable.model_fields


def _given(table: Mapping[str, Any], path: Path) -> Any:
    given: Any = table
    for key in path:
        given = given[key]
    return given


def _expected(error: ErrorDetails, path: Path) -> str:
    """What is expected, in words."""
    key = str(path[-1])
    if path[0] == "space" and len(path) == 2:
        return OF_A_SPACE
    if path[0] == "trial" and len(path) == 3 and key not in models.TrialTable.model_fields:
        return "a number"
    if key in EXPECTED:
        return EXPECTED[key]
    context = error.get("ctx", {})
    bounds = {"greater_than_equal": f"{context.get('ge')} or more", "less_than_equal": f"{context.get('le')} or less"}
    return (KINDS | bounds).get(error["type"], error["msg"])
