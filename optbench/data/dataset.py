"""Images with their labels, and the training and validation images that a search may see."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Images:
    """Pixels as uint8 [n, 784] and labels as int32 [n] from 0 to 9."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int32]]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Array) -> "Images":
        """The images at these positions."""
        return Images(self.pixels[index], self.labels[index])


@dataclass(frozen=True)
class Split:
    """Training and validation images (None: all images are for training), with the digests of data and split."""

    train: Images
    validation: Images | None
    digests: Mapping[str, str]


def digest(images: Images) -> str:
    """A short hash of pixels and labels."""
    return digest_of(images.pixels, images.labels)


def digest_of(*arrays: Array) -> str:
    """A short hash of the arrays' bytes: 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]
