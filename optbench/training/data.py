"""Loads and prepares images: MNIST and its kin through tensorflow-datasets, digits from scikit-learn. Splits them."""

import hashlib
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from optbench.errors import DataError, nearest
from optbench.job import Images, Split
from optbench.randomness import Purpose, generator

USUAL = ("digits", "fashion_mnist", "kmnist", "mnist")  # what is suggested, of all that fit
DIGITS_TRAIN = 1500  # of the 1,797; the rest are its test images, by other writers
MNIST_FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def load(name: str, validation: int, seed: int, data_dir: Path | None = None) -> Split:
    """The training images of a data set, `validation` of them split off by `seed`. Never the test images.

    Raises DataError if the data set is unknown, not prepared, or has too few images.
    """
    images = _digits(slice(None, DIGITS_TRAIN)) if name == "digits" else _tfds(name, "train", data_dir)
    if validation >= len(images):
        raise DataError(
            f"validation = {validation}, but {name} has {len(images)} training images; "
            f"expected fewer: try {len(images) // 6}"
        )
    order = generator(Purpose.SPLIT, seed).permutation(len(images))
    held, kept = np.sort(order[:validation]), np.sort(order[validation:])
    digests = {"data.sha256": digest(images), "split.sha256": _digest(held)}
    return Split(_take(images, kept), _take(images, held) if validation else None, digests)


def load_test(name: str, data_dir: Path | None = None) -> Images:
    """The test images, for studies in which nothing is selected."""
    return _digits(slice(DIGITS_TRAIN, None)) if name == "digits" else _tfds(name, "test", data_dir)


def prepare(name: str, source: Path | None = None, data_dir: Path | None = None) -> Path:
    """Prepares a tensorflow-datasets data set, from the original files in `source` if given; returns its folder."""
    import tensorflow_datasets as tfds

    if name == "digits":
        raise DataError("digits comes with scikit-learn and needs no preparing; type `optbench sweep quickstart`")
    if source is not None:
        missing = [file for file in MNIST_FILES if not (source / file).is_file()]
        if missing:
            raise DataError(f"{source} has no {missing[0]}; expected the original files {', '.join(MNIST_FILES)}")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    builder = _builder(name, data_dir)
    if source is None and not builder.is_prepared():
        _reach(name, builder)
    config = tfds.download.DownloadConfig(manual_dir=None if source is None else str(source.resolve()))
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as problem:  # tensorflow-datasets raises as it likes: network, checksum, disk
        line = (str(problem).splitlines() or [type(problem).__name__])[0]
        advice = f"type `optbench data prepare {name} --from DIR` with the original files in DIR"
        if source is not None:
            advice = f"are the files in {source} the original ones of {name}, and can {builder.data_dir} be written?"
        raise DataError(f"{name} could not be prepared: {line.rstrip(':')}; {advice}") from problem
    return Path(builder.data_dir)


def _reach(name: str, builder: Any) -> None:
    """Refuse at once where the data set's server cannot be reached: its download would retry for minutes."""
    if getproxies():
        return  # the proxy reaches it, or says that it cannot
    for url in list(builder.url_infos)[:1]:
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname, parts.port or 443), timeout=10).close()
        except OSError as problem:
            raise DataError(
                f"{name} is not prepared in {builder.data_dir} and cannot be downloaded ({problem}); with the original "
                f"files in DIR, type `optbench data prepare {name} --from DIR`; `optbench sweep quickstart` needs none"
            ) from problem


def _take(images: Images, index: Any) -> Images:
    return Images(images.pixels[index], images.labels[index])


def digest(images: Images) -> str:
    """A short hash of pixels and labels."""
    return _digest(images.pixels, images.labels)


def _digest(*arrays: np.ndarray[Any, Any]) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def _digits(part: slice) -> Images:
    """scikit-learn's 8x8 digits, each pixel tripled and framed by 2 black ones: 28x28, as MNIST frames its own."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.kron(bunch.images[part] / 16 * 255, np.ones((1, 3, 3))).round().astype(np.uint8)
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    return Images(framed.reshape(-1, 784), bunch.target[part].astype(np.int32))


def _builder(name: str, data_dir: Path | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except Exception as problem:  # DatasetNotFoundError, ValueError: depends on how the name is wrong
        raise DataError(f"unknown data set {name!r}; {nearest(name, USUAL)}") from problem
    features = builder.info.features or {}
    shape = features["image"].shape if "image" in features else None
    classes = getattr(features["label"], "num_classes", None) if "label" in features else None
    if shape != (28, 28, 1) or classes != 10:
        raise DataError(f"data set {name!r} has images {shape} of {classes} classes; expected 28x28x1 of 10: try mnist")
    return builder


def _tfds(name: str, part: str, data_dir: Path | None) -> Images:
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        prepare(name, None, data_dir)
    data = builder.as_dataset(split=part, batch_size=-1)
    return Images(data["image"].numpy().reshape(-1, 784), data["label"].numpy().astype(np.int32))
