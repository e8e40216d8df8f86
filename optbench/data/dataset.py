"""Images with their labels, and the training and validation images that a search may see."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optbench.randomness import Purpose, generator

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
    """Training and validation images (None: all images are for training), with the digests of data and split.

    `pool` has both, if every trial draws a split of its own from them (see `resplit`); else it is None.
    """

    train: Images
    validation: Images | None
    digests: Mapping[str, str]
    pool: Images | None = None

    def resplit(self) -> "Split":
        """The same images, of which every trial validates on others, drawn by its seed."""
        assert self.validation is not None, "a definition with resplit has validation images"
        pixels = np.concatenate([self.train.pixels, self.validation.pixels])
        return replace(self, pool=Images(pixels, np.concatenate([self.train.labels, self.validation.labels])))

    def of(self, seed: int) -> "Split":
        """The split of a trial with this seed."""
        if self.pool is None:
            return self
        kept, held_out = self.drawn(seed)
        return Split(self.pool.take(kept), self.pool.take(held_out), self.digests)

    def drawn(self, seed: int) -> tuple[Array, Array]:
        """The positions in the pool of the training and the validation images of a trial with this seed."""
        assert self.pool is not None, "only trials with splits of their own draw them"
        return positions(len(self.pool), len(self.pool) - len(self.train), seed)


def positions(n: int, validation: int, seed: int) -> tuple[Array, Array]:
    """The positions of training and validation images among n, int64, in ascending order."""
    order = generator(Purpose.SPLIT, seed).permutation(n)
    return np.sort(order[validation:]), np.sort(order[:validation])


def digest(images: Images) -> str:
    """A short hash of pixels and labels."""
    return digest_of(images.pixels, images.labels)


def digest_of(*arrays: Array) -> str:
    """A short hash of the arrays' bytes: 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]
