"""Reads a sweep definition from TOML or plain data and checks all of it, before anything else happens."""

from optbench.definition.files import find, load, shipped
from optbench.definition.parse import parse

__all__ = ["find", "load", "parse", "shipped"]
