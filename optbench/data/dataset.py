"""Examples with their labels, and the training and validation examples that a search may see."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from optbench.choices import Scale
from optbench.randomness import Purpose, generator

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Facts:
    """What a study needs to know about its data set without loading it.

    `shape` is that of one input, and `classes` are their names. `examples` is how many there are to train and validate
    on, and `test` how many to test on; None if the study never looks at these.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    examples: int
    test: int | None = None

    @property
    def chance(self) -> float:
        """The accuracy of guessing, a fraction: every class is as likely as the others."""
        return 1 / len(self.classes)

    def plain(self) -> dict[str, Any]:
        """The facts as JSON can hold them."""
        return asdict(self)

    @staticmethod
    def read(plain: Mapping[str, Any]) -> "Facts":
        """The facts that `plain` gave."""
        shape, classes = tuple(plain["shape"]), tuple(plain["classes"])
        return Facts(shape=shape, classes=classes, examples=plain["examples"], test=plain.get("test"))


def facts_of_earlier(name: str) -> Facts:
    """The facts of a data set for which a study of an earlier version stored none: 28x28 images in ten classes."""
    examples, test = (1500, 297) if name == "digits" else (60_000, 10_000)
    return Facts(shape=(28, 28), classes=tuple("0123456789"), examples=examples, test=test)


@dataclass(frozen=True, eq=False)  # hashable: trainers keep what they made of the same examples
class Examples:
    """Inputs [n, features], uint8 or float32, and labels, int32 [n], which are positions in `Facts.classes`."""

    inputs: Array
    labels: np.ndarray[Any, np.dtype[np.int32]]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Array | slice) -> "Examples":
        """The examples at these positions; a slice of them shares their memory."""
        return Examples(self.inputs[index], self.labels[index])


@dataclass(frozen=True)
class Split:
    """Training and validation examples (None: all are for training), with the digests of data and split.

    `scale` says how inputs are scaled before they enter a network, and `stratified` whether both parts have the classes
    in the same proportions. `pool` has both, if every trial draws a split of its own from them (see `resplit`); else it
    is None.
    """

    train: Examples
    validation: Examples | None
    digests: Mapping[str, str]
    facts: Facts
    scale: Scale = Scale.UNIT
    stratified: bool = False
    pool: Examples | None = None

    def resplit(self) -> "Split":
        """The same examples, of which every trial validates on others, drawn by its seed.

        Both parts are views of the pool then, so that memory holds each example once if this split is dropped.
        """
        if self.pool is not None:
            return self
        assert self.validation is not None, "a definition with resplit has validation examples"
        inputs = np.concatenate([self.train.inputs, self.validation.inputs])
        pool, n = Examples(inputs, np.concatenate([self.train.labels, self.validation.labels])), len(self.train)
        return replace(self, train=pool.take(slice(n)), validation=pool.take(slice(n, None)), pool=pool)

    def of(self, seed: int) -> "Split":
        """The split of a trial with this seed."""
        if self.pool is None:
            return self
        kept, held_out = self.drawn(seed)
        return replace(self, train=self.pool.take(kept), validation=self.pool.take(held_out), pool=None)

    def drawn(self, seed: int) -> tuple[Array, Array]:
        """The positions in the pool of the training and the validation examples of a trial with this seed."""
        assert self.pool is not None, "only trials with splits of their own draw them"
        strata = self.pool.labels if self.stratified else None
        return positions(len(self.pool), len(self.pool) - len(self.train), seed, strata)


def positions(n: int, held_out: int, seed: int, labels: Array | None = None) -> tuple[Array, Array]:
    """The positions among n of the examples to keep and of those to hold out, int64, in ascending order.

    With `labels` [n], both have the classes in the same proportions, as far as whole numbers allow.
    """
    order = generator(Purpose.SPLIT, seed).permutation(n)
    if labels is not None:
        order = order[np.argsort(_turns(labels[order]), kind="stable")]
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _turns(labels: Array) -> Array:
    """When each example is drawn, from 0 to 1, so that any number of those drawn first has every class in proportion.

    The k-th of the m examples of a class is drawn at (k + 1/2) / m.
    """
    by_class = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    firsts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - firsts[labels[by_class]]
    return np.asarray((ranks + 0.5) / sizes[labels])


def digest(examples: Examples) -> str:
    """A short hash of inputs and labels."""
    return digest_of(examples.inputs, examples.labels)


def named_digest(arrays: Mapping[str, Array]) -> str:
    """A short hash of arrays with their names, types and shapes: 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def digest_of(*arrays: Array) -> str:
    """A short hash of the arrays' bytes: 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]
