"""What the commands print with: a console for people, JSON for programs. Training goes on if the reader goes away."""

import json
import os
import sys
from typing import Any

from rich.console import Console

from optbench.cli.streams import drop_output

_terminal = sys.stdout is not None and sys.stdout.isatty()  # None: the shell closed it
UNLIMITED = 10_000  # columns: a pipe has no width to fit
_given = "COLUMNS" in os.environ  # rich takes the width from there
console = Console(highlight=False, width=None if _terminal or _given else UNLIMITED)


def _fall_silent() -> None:
    """Print nothing more, because the reader has gone, but let the command finish its work."""
    console.quiet = True
    drop_output()


console.on_broken_pipe = _fall_silent  # type: ignore[method-assign]


def print_json(content: Any) -> None:
    """Print plain data as JSON on standard output."""
    from optbench.exports.records import finite

    plain = "utf" not in (sys.stdout.encoding or "").lower()
    write_text(json.dumps(finite(content), indent=2, ensure_ascii=plain, default=str, allow_nan=False) + "\n")


def print_line(line: str) -> None:
    """Print a line for people, whatever its width."""
    console.print(line, markup=False, soft_wrap=True)


def print_answer(plain: dict[str, object], said: str, as_json: bool) -> None:
    """Print what was done: as JSON, or in a line for people."""
    if as_json:
        print_json(plain)
    else:
        print_line(said)


def write_text(text: str) -> None:
    """Write text to standard output as it is. Do nothing if the reader has gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
