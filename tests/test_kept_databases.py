"""Studies that earlier versions made, on copies of the databases that they left."""

import shutil

import pytest

from optbench.definition import parse
from optbench.storage import open_storage, studies
from tests.conftest import ROOT

KEPT = ROOT / "tests" / "data" / "schema3"
NAMES = [
    "search", "rival", "fixed", "repeated/1", "repeated/2", "search/confirm", "rival/confirm", "unfinished", "partial",
]  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    """The storage of a copy of the database of schema 3."""
    shutil.copy(KEPT / "optbench.db", tmp_path / "kept.db")
    opened = open_storage(f"sqlite:///{tmp_path}/kept.db")
    yield opened
    opened.close()


def test_every_study_reads_as_the_sweep_that_its_definition_gives(kept):
    found = {study.name: study for study in studies(kept)}
    assert sorted(found) == sorted(NAMES)
    for name in NAMES:
        assert found[name].sweep == parse(found[name].definition, name)
