"""Suggestions for unknown names, and errors that are logged instead of raised."""

import logging

import pytest

from optbench.errors import nearest, tolerated


def test_an_unknown_name_gets_the_nearest_name_or_a_list_of_all():
    assert nearest("epoch", ["epochs", "batch"]) == "did you mean 'epochs'?"
    assert nearest("xyz", ["b", "a"]) == "known: a, b"
    assert nearest("xyz", []) == "there is none"


def test_a_tolerated_error_is_logged_with_its_consequence_and_other_errors_are_raised(caplog):
    log = logging.getLogger("tolerated")
    with caplog.at_level(logging.INFO, "tolerated"), tolerated(log, "no file was deleted", OSError, ValueError):
        raise FileNotFoundError("x.json")
    assert caplog.messages == ["no file was deleted: FileNotFoundError: x.json"]
    with pytest.raises(KeyError), tolerated(log, "no file was deleted", OSError):
        raise KeyError("y")
