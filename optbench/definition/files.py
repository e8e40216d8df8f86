"""Finds a definition by its path or name, and loads it."""

import logging
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from optbench.definition.parse import parse
from optbench.definition.sweep import Sweep
from optbench.errors import DefinitionError, nearest, tolerated

log = logging.getLogger(__name__)
LARGEST = 1_000_000  # bytes; the TOML reader takes seconds for each megabyte


def shipped() -> Path:
    """The folder of the definitions that come with the package: inside it when installed, next to it in a checkout."""
    inside = Path(__file__).parents[1] / "sweeps"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "sweeps"


def find(name: str) -> Path:
    """The file that `name` means: a path, a name in ./sweeps, or a definition that ships with the package."""
    homes = [Path("sweeps"), shipped()]
    with tolerated(log, "no file can have this name", OSError, ValueError):
        for path in (Path(name), *(home / f"{name}.toml" for home in homes)):
            if path.is_file():
                return path
        if Path(name).exists():
            raise DefinitionError(f"{name} is not a regular file; expected a sweep definition, in TOML")
    names = {path.stem for home in homes for path in home.glob("*.toml")}
    raise DefinitionError(f"no sweep {name[:300]!r}: there is no such file or definition; {nearest(name, names)}")


def load(name: str, overrides: Mapping[str, Any], flags: Collection[str] | None = None) -> Sweep:
    """The sweep that `name` means (see `find`), with top-level keys overridden.

    Messages blame the option of the command line for a key among the `flags`, by default all that are overridden.

    Raises DefinitionError.
    """
    path = find(name)
    if path.stat().st_size > LARGEST:
        raise DefinitionError(f"{path} has {path.stat().st_size / 1e6:.1f} MB; a sweep definition has at most 1")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError) as problem:
        raise DefinitionError(f"{path}: not readable as TOML: {problem}") from problem
    blamed = overrides.keys() if flags is None else flags
    if "trials" in overrides and "space" not in table:
        option = "--trials" if "trials" in blamed else "trials"
        raise DefinitionError(f"{option} {overrides['trials']}: {path} is a list of fixed trials; leave {option} out")
    return parse({**_located(table, path.parent), **overrides}, str(path), flags=blamed)


def _located(table: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The table, with the files of its [data] and [model] relative to the folder of the sweep file."""
    found = dict(table)
    for name, keys in {"data": ("file", "test_file"), "model": ("build",)}.items():
        held = table.get(name)
        if isinstance(held, Mapping):
            files = {key: str(folder / held[key]) for key in keys if _names_a_file(key, held.get(key))}
            found[name] = {**held, **files}
    return found


def _names_a_file(key: str, value: object) -> bool:
    """Whether the value names a file, not a module."""
    return isinstance(value, str) and (key != "build" or value.rpartition(":")[0].endswith(".py"))
