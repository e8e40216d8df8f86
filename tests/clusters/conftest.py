"""Fixtures of tests on clusters: a PostgreSQL database, and the command in a process of its own."""

import subprocess
import sys

import pytest

from optbench.storage import open_storage
from tests.light import environment


@pytest.fixture
def url(new_url):
    return new_url("postgresql")


@pytest.fixture
def storage(url):
    opened = open_storage(url, create=True)
    yield opened
    opened.close()


@pytest.fixture
def command(cluster, url, tmp_path):
    """A function that starts an `optbench` command which knows the module's cluster and the database."""
    started = []

    def start(*words):
        held = environment() | cluster.environment | {"OPTBENCH_STORAGE": url}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen([sys.executable, "-m", "optbench", *words], env=held, cwd=tmp_path, **pipes))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()
