"""Loads a data set by its name, and splits validation images off its training images."""

from pathlib import Path

from optbench.data import digits, tfds
from optbench.data.dataset import Images, Split, digest, digest_of, positions
from optbench.errors import DataError


def load(name: str, validation: int, seed: int, data_dir: Path | None = None) -> Split:
    """The training images of a data set, `validation` of them split off by `seed`. Never the test images.

    Raises DataError if the data set is unknown, is not prepared, or has too few images.
    """
    images = digits.training_images() if name == "digits" else tfds.images(name, "train", data_dir)
    if validation >= len(images):
        raise DataError(
            f"validation = {validation}, but {name} has {len(images)} training images; "
            f"expected fewer: try {len(images) // 6}"
        )
    kept, held_out = positions(len(images), validation, seed)
    digests = {"data.sha256": digest(images), "split.sha256": digest_of(held_out)}
    return Split(images.take(kept), images.take(held_out) if validation else None, digests)


def load_test(name: str, data_dir: Path | None = None) -> Images:
    """The test images, for studies in which nothing is selected. Raises DataError."""
    return digits.test_images() if name == "digits" else tfds.images(name, "test", data_dir)
