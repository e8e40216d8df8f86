"""What `optbench data show` prints: a data set as a sweep would see it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from optbench.choices import Scale
from optbench.cli.tables.fitting import Column, Fitted
from optbench.definition.data import DataSource

if TYPE_CHECKING:
    from optbench.data import Examples, Split

SCALED = {
    Scale.UNIT: "divided by 255",
    Scale.STANDARD: "standardized by the training part",
    Scale.NONE: "left as they are",
}


def dataset(data: DataSource, split: "Split", test: "Examples") -> Iterator[RenderableType]:
    """The facts of a data set in lines, and its classes with the number of their examples in each part."""
    inputs, shape = split.train.inputs, "x".join(map(str, split.facts.shape))
    yield Text(f"{data.name}: inputs of shape {shape}, {inputs.dtype}, {SCALED[split.scale]}")
    yield Text(f"{len(split.facts.classes)} classes, so guessing uniformly reaches {100 * split.facts.chance:.3g} %")
    how = "with the classes in proportion" if split.stratified else "at random"
    yield Text(f"split {how}, {memory(split, test):,} bytes in memory")
    found = counts(split, test)
    columns = [Column("class", list(split.facts.classes), text=True)]
    columns += [Column(part, [f"{number:,}" for number in numbers]) for part, numbers in found.items()]
    yield Fitted(columns)
    yield Text(", ".join(f"{key} {value}" for key, value in split.digests.items()), style="dim")


def memory(split: "Split", test: "Examples") -> int:
    """The bytes of the inputs of all parts."""
    return sum(part.inputs.nbytes for part in (split.train, split.validation, test) if part is not None)


def counts(split: "Split", test: "Examples") -> Mapping[str, list[int]]:
    """The number of examples of each class, by part."""
    parts = {"training": split.train, "validation": split.validation, "test": test}
    classes = len(split.facts.classes)
    return {
        name: np.bincount(part.labels, minlength=classes).tolist() for name, part in parts.items() if part is not None
    }
