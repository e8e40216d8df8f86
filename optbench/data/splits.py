"""Loads the data of a sweep, and splits validation examples off its training examples."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from optbench.choices import Missing, Scale
from optbench.data import digits, tfds
from optbench.data.dataset import Examples, Facts, Split, digest, digest_of, positions
from optbench.data.own import Whole, assemble, filled, has_test, is_own, is_stratified, load_own
from optbench.definition.data import DataSource
from optbench.errors import DataError, counted


def needs_tensorflow(data: DataSource) -> bool:
    """Whether the data is read with TensorFlow."""
    return not is_own(data) and data.name != "digits"


TEST_DRAWN = "data.test_drawn"
"""The key of a fingerprint for a data set of tensorflow-datasets without a test part, from which one was drawn."""


def load(data: DataSource, seed: int, data_dir: Path | None = None) -> Split:
    """The training and validation examples, split by `seed`. Never the test examples.

    Raises DataError if the data set is unknown, is not prepared, cannot be read, or has too few examples.
    """
    found, facts, digests = _training_set(data, data_dir)
    held_out = held_back(data, len(found))
    if held_out >= len(found):
        raise DataError(
            f"validation = {data.validation}, but {data.name} has {counted(len(found), 'training example')}; "
            "expected fewer"
        )
    stratified = is_stratified(data)
    kept, other = positions(len(found), held_out, seed, found.labels if stratified else None)
    train, validation = found.take(kept), found.take(other)
    _check_classes(train, facts, data)
    if _fills(data):
        train, validation = filled(train, train.inputs), filled(validation, train.inputs)
    scale = data.scale or (Scale.UNIT if found.inputs.dtype == np.uint8 else Scale.STANDARD)
    return Split(
        train=train,
        validation=validation if held_out else None,
        digests={**digests, "split.sha256": digest_of(other), **_marks(scale, stratified)},
        facts=facts,
        scale=scale,
        stratified=stratified,
    )


def load_test(data: DataSource, data_dir: Path | None = None) -> Examples:
    """The test examples, for studies in which nothing is selected. Raises DataError."""
    whole = _whole(data, data_dir)
    if whole is not None:
        return filled(whole.test, whole.training.inputs) if _fills(data) else whole.test
    return digits.test_set() if data.name == "digits" else tfds.test_set(data.name, data_dir)


def held_back(data: DataSource, n: int) -> int:
    """How many of n training examples are held back for validation; at least one if it is a fraction above 0."""
    return max(1, round(data.validation * n)) if 0 < data.validation < 1 else int(data.validation)


def _training_set(data: DataSource, data_dir: Path | None) -> tuple[Examples, Facts, Mapping[str, str]]:
    """The training examples, their facts, and what identifies them in a fingerprint."""
    whole = _whole(data, data_dir)
    if whole is not None:
        drawn = {} if is_own(data) else {TEST_DRAWN: "true"}
        return whole.training, whole.facts, {"data.sha256": whole.digest, **drawn}
    if data.test is not None:
        raise has_test(data)
    found, facts = digits.training_set() if data.name == "digits" else tfds.training_set(data.name, data_dir)
    return found, facts, {"data.sha256": digest(found)}


def _whole(data: DataSource, data_dir: Path | None) -> Whole | None:
    """The data with its test part, unless it is a named data set that comes with both parts."""
    if is_own(data):
        return load_own(data, data_dir)
    raw = None if data.name == "digits" else tfds.without_test(data.name, data_dir)
    return None if raw is None else assemble(data, raw, None)


def _fills(data: DataSource) -> bool:
    return data.file is not None and data.file.missing is Missing.MEAN


def _marks(scale: Scale, stratified: bool) -> dict[str, str]:
    """How the data is scaled and split, for the fingerprint, where it is not as in studies of earlier versions."""
    marks = {"data.scale": str(scale)} if scale is not Scale.UNIT else {}
    return marks | ({"data.stratify": "true"} if stratified else {})


def _check_classes(train: Examples, facts: Facts, data: DataSource) -> None:
    """Raise DataError if the training part lacks a class: a network could never learn it."""
    lacking = np.flatnonzero(np.bincount(train.labels, minlength=len(facts.classes)) == 0)
    if len(lacking):
        raise DataError(
            f"{data.name}: no training example has the class {facts.classes[lacking[0]]!r}; expected every class in "
            "the training part: lower [data] validation or test, or leave that class out"
        )
