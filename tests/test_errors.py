"""The ending of a message about an unknown name."""

from optbench.errors import nearest


def test_the_nearest_name_or_all_of_them_or_none():
    assert nearest("epoch", ["epochs", "batch"]) == "did you mean 'epochs'?"
    assert nearest("xyz", ["b", "a"]) == "known: a, b"
    assert nearest("xyz", []) == "there is none"
