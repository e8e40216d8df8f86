"""Reads a sweep definition from TOML or plain data, and checks all of it before anything else happens."""

from optbench.definition.files import find, load, shipped
from optbench.definition.parse import check_study_name, parse

__all__ = ["check_study_name", "find", "load", "parse", "shipped"]
