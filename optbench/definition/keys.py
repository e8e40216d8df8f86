"""Reads one TOML table key by key, so that a wrong kind, a missing key or an unknown one is named at once."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from optbench.errors import DefinitionError, nearest

REQUIRED = object()
HUGE = 10**300  # a whole number of more digits is no float


class Keys:
    """One TOML table while it is read."""

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, Mapping):
            raise DefinitionError(f"{where}: expected a table of keys, got {table!r}")
        self.table, self.where = table, where

    def only(self, *known: str) -> "Keys":
        """Refuse any key but these, naming the nearest."""
        for key in self.table:
            if key not in known:
                raise DefinitionError(f"{self.where}: unknown key {key!r}; {nearest(key, known)}")
        return self

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        """The value under `key`, of that kind (an integer will do for a float)."""
        if key not in self.table:
            if default is REQUIRED:
                raise DefinitionError(f"{self.where}: {key!r} is missing; expected {_KINDS[kind]}")
            return default
        value = self.table[key]
        if kind is float and type(value) is int:
            value = float(value) if abs(value) < HUGE else math.inf
        if type(value) is not kind:
            raise DefinitionError(f"{self.where}: {key} = {value!r}; expected {_KINDS[kind]}")
        return value

    def count(self, key: str, default: Any = REQUIRED, least: int = 1, most: int = 1_000_000) -> Any:
        """The whole number under `key`, from `least` to `most`."""
        value = self.take(key, int, default)
        if isinstance(value, int) and not least <= value <= most:
            bound = f"at least {least}" if value < least else f"at most {most}"
            raise DefinitionError(f"{self.where}: {key} = {value}; expected a whole number of {bound}")
        return value

    def pick(self, key: str, names: Iterable[str], default: Any = REQUIRED) -> Any:
        """The name under `key`, one of `names`."""
        value = self.take(key, str, default)
        if value is not None and value not in names:
            raise DefinitionError(f"{self.where}: unknown {key} {value!r}; {nearest(value, names)}")
        return value


_KINDS = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table of keys",
}
