"""Packages that TensorFlow does not need are hidden while it is loaded."""

import importlib
import sys

import pytest

from optbench.worker.loading import hidden


def test_a_hidden_package_cannot_be_imported_until_it_is_shown_again(tmp_path, monkeypatch):
    (tmp_path / "unused_package.py").write_text("there = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with hidden(["unused_package"]), pytest.raises(ImportError):
        importlib.import_module("unused_package")
    assert importlib.import_module("unused_package").there
    with hidden(["unused_package"]):
        assert importlib.import_module("unused_package").there, "a package that is loaded stays"
    assert "unused_package" in sys.modules
