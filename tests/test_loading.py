"""While TensorFlow is loaded, packages that it does not need are hidden, and nothing collects garbage."""

import gc
import importlib
import sys

import pytest

from optbench.worker.loading import hidden, uncollected


def test_a_hidden_package_cannot_be_imported_until_it_is_shown_again(tmp_path, monkeypatch):
    (tmp_path / "unused_package.py").write_text("there = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with hidden(["unused_package"]), pytest.raises(ImportError):
        importlib.import_module("unused_package")
    assert importlib.import_module("unused_package").there
    with hidden(["unused_package"]):
        assert importlib.import_module("unused_package").there, "a package that is loaded stays"
    assert "unused_package" in sys.modules


def test_the_garbage_collector_is_off_meanwhile_and_as_it_was_afterwards():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
