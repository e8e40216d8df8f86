"""Python imports this at the start of a process whose PYTHONPATH names this folder."""

from tests.light import install

install()
