"""Loads a data set by its name, and splits validation examples off its training examples."""

from pathlib import Path

from optbench.data import digits, tfds
from optbench.data.dataset import Examples, Split, digest, digest_of, positions
from optbench.errors import DataError


def load(name: str, validation: int, seed: int, data_dir: Path | None = None) -> Split:
    """The training examples of a data set, `validation` of them split off by `seed`. Never the test examples.

    Raises DataError if the data set is unknown, is not prepared, or has too few examples.
    """
    found, facts = digits.training_set() if name == "digits" else tfds.training_set(name, data_dir)
    if validation >= len(found):
        raise DataError(
            f"validation = {validation}, but {name} has {len(found)} training examples; "
            f"expected fewer: try {len(found) // 6}"
        )
    kept, held_out = positions(len(found), validation, seed)
    return Split(
        train=found.take(kept),
        validation=found.take(held_out) if validation else None,
        digests={"data.sha256": digest(found), "split.sha256": digest_of(held_out)},
        facts=facts,
    )


def load_test(name: str, data_dir: Path | None = None) -> Examples:
    """The test examples, for studies in which nothing is selected. Raises DataError."""
    return digits.test_set() if name == "digits" else tfds.test_set(name, data_dir)
