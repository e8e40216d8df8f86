"""Loads the data of a sweep, and splits validation examples off its training examples."""

from pathlib import Path

import numpy as np

from optbench.data import digits, scikit, tfds
from optbench.data.dataset import Examples, Facts, Split, digest, digest_of, positions
from optbench.data.own import filled, load_own
from optbench.definition.data import DataSource, Scale
from optbench.errors import DataError


def is_own(data: DataSource) -> bool:
    """Whether the data is a table that optbench splits into training and test examples itself."""
    return data.file is not None or data.name in scikit.NAMES


def load(data: DataSource, seed: int, data_dir: Path | None = None) -> Split:
    """The training and validation examples, split by `seed`. Never the test examples.

    Raises DataError if the data set is unknown, is not prepared, cannot be read, or has too few examples.
    """
    found, facts = _training_set(data, data_dir)
    held_out = held_back(data, len(found))
    if held_out >= len(found):
        raise DataError(
            f"validation = {data.validation}, but {data.name} has {len(found)} training examples; "
            f"expected fewer: try {len(found) // 6}"
        )
    stratified = is_own(data) if data.stratify is None else data.stratify
    kept, other = positions(len(found), held_out, seed, found.labels if stratified else None)
    train = found.take(kept)
    _check_classes(train, facts, data)
    return Split(
        train=filled(train, train.inputs),
        validation=filled(found.take(other), train.inputs) if held_out else None,
        digests={"data.sha256": digest(found), "split.sha256": digest_of(other)},
        facts=facts,
        scale=data.scale or (Scale.UNIT if found.inputs.dtype == np.uint8 else Scale.STANDARD),
        stratified=stratified,
    )


def load_test(data: DataSource, data_dir: Path | None = None) -> Examples:
    """The test examples, for studies in which nothing is selected. Raises DataError."""
    if is_own(data):
        own = load_own(data, data_dir)
        return filled(own.test, own.training.inputs)
    return digits.test_set() if data.name == "digits" else tfds.test_set(data.name, data_dir)


def held_back(data: DataSource, n: int) -> int:
    """How many of n training examples are held back for validation."""
    return round(data.validation * n) if 0 < data.validation < 1 else int(data.validation)


def _training_set(data: DataSource, data_dir: Path | None) -> tuple[Examples, Facts]:
    if is_own(data):
        own = load_own(data, data_dir)
        return own.training, own.facts
    if data.test is not None:
        raise DataError(f"[data] test = {data.test}, but {data.name} has test examples of its own; leave it out")
    return digits.training_set() if data.name == "digits" else tfds.training_set(data.name, data_dir)


def _check_classes(train: Examples, facts: Facts, data: DataSource) -> None:
    """Raise DataError if the training part lacks a class: a network could never learn it."""
    lacking = np.flatnonzero(np.bincount(train.labels, minlength=len(facts.classes)) == 0)
    if len(lacking):
        raise DataError(
            f"{data.name}: no training example has the class {facts.classes[lacking[0]]!r}; expected every class in "
            "the training part: lower [data] validation or test, or leave that class out"
        )
