"""Explains in one line what is wrong with a command line: what was typed, what was expected, and where help is."""

from difflib import get_close_matches
from typing import Any

import typer

EXPECTED = {"int_parsing": "a whole number", "float_parsing": "a number"}
BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}


def explain(problem: typer.TyperException) -> str:
    """The message for a command line that could not be read."""
    message = _value(problem) or _option(problem) or problem.format_message().rstrip(".")
    return f"{message}; type `{_command(getattr(problem, 'ctx', None))} --help`"


def _value(problem: Any) -> str | None:
    """What is wrong with the value of an option or argument, if that is the problem."""
    param, cause = getattr(problem, "param", None), problem.__cause__
    if param is None or not hasattr(cause, "errors"):
        return None
    error = cause.errors()[0]
    kind = error["type"]
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        expected = f"a number of {words} {error['ctx'][key]}"
    else:
        reason = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
        _, found, choices = reason.partition(" is not one of ")
        expected = EXPECTED.get(kind) or (f"one of {choices}" if found else reason)
    name = max(param.opts, key=len) if param.opts[0].startswith("-") else param.metavar or param.name.upper()
    return f"{name} {str(error['input'])[:80]}; expected {expected}"


def _option(problem: Any) -> str | None:
    """What is wrong with the name of an option, if that is the problem."""
    if not hasattr(problem, "possibilities"):
        return None
    close = get_close_matches(problem.option_name, problem.possibilities or [], n=1)
    return f"no such option: {problem.option_name}" + (f"; did you mean {close[0]}?" if close else "")


def _command(context: Any) -> str:
    """The command that was being read, as it is typed."""
    words: list[str] = []
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    return " ".join(["optbench", *words])
