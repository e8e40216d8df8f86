"""Says in one line what pydantic finds wrong in a request: the key, the given value and what is expected."""

import json
from collections.abc import Collection, Sequence

from pydantic_core import ErrorDetails

from optbench.errors import nearest

LONGEST = 200  # characters of a given value that a line repeats
WHOLE = "a whole number"
KINDS = {
    "dict_type": "an object",
    "int_from_float": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": WHOLE,
    "int_type": WHOLE,
    "list_type": "a list",
    "model_type": "an object",
    "string_type": "text",
}


def wrong(errors: Sequence[ErrorDetails], known: Collection[str]) -> str:
    """What the first of pydantic's errors means. `known` are the keys that a request may have.

    Unknown keys come first: a missing key may be misspelt.
    """
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    key = ".".join(map(str, first["loc"])) or "the body"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {nearest(key, known) if known else 'expected no keys'}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    return f"{key} = {_shown(first['input'])}; {_expected(first)}"


def _shown(given: object) -> str:
    """The value. What has a word of its own in JSON is shown by it."""
    return json.dumps(given) if given is None or isinstance(given, bool) else repr(given)[:LONGEST]


def _expected(error: ErrorDetails) -> str:
    """What is expected, in words."""
    context = error.get("ctx", {})
    kinds = KINDS | {
        "greater_than_equal": f"{context.get('ge')} or more",
        "less_than_equal": f"{context.get('le')} or less",
        "string_too_long": f"up to {context.get('max_length')} characters",
        "too_long": f"up to {context.get('max_length')} of them",
    }
    if error["type"] in kinds:
        return f"expected {kinds[error['type']]}"
    said = error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{said[0].lower()}{said[1:]}"
