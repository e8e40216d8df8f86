"""Where the commands print: a console for people, JSON for programs; what nobody reads ends no training."""

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

if sys.stdout is None:  # closed by whoever started this
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)  # a pipe has no width to fit


def _fall_silent() -> None:
    """Nobody reads on: what is still to be printed goes nowhere, and what is being done is done."""
    console.quiet = True
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


console.on_broken_pipe = _fall_silent  # type: ignore[method-assign]


def print_json(content: Any) -> None:
    """Plain data on standard output, with nothing beside it."""
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(_finite(content), indent=2, ensure_ascii=plain, default=str, allow_nan=False) + "\n")


def _finite(content: Any) -> Any:
    """The data with null for what is not a finite number, for which JSON has no word."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content
