"""The records of a sweep's data: where it is, and how it is split and scaled."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from optbench.definition.plain import plain_data


class Scale(StrEnum):
    """How inputs are scaled: divided by 255, standardized by the training part, or not at all."""

    UNIT = "unit"
    STANDARD = "standard"
    NONE = "none"


class Missing(StrEnum):
    """What becomes of missing values: the mean of the column's training part, or the row is dropped."""

    MEAN = "mean"
    DROP = "drop"


@dataclass(frozen=True)
class TableFile:
    """A file with a table, of which one column is the target, or with arrays, which have no columns.

    `path` and `test_file` are absolute.
    """

    path: str
    target: str | None = None
    drop: tuple[str, ...] = ()
    missing: Missing | None = None
    test_file: str | None = None


@dataclass(frozen=True)
class DataSource:
    """A data set by name or in a file, and how much of what is not for testing is held back to validate on.

    `validation` is a number of examples, or a fraction below 1. `resplit` is whether every trial holds back examples of
    its own, drawn by its seed. Else the sweep's seed draws them. `test` is the fraction to test on, where the source
    does not say which examples are for that. None means the source's default: of `test` 0.2, of `scale` UNIT for bytes
    and STANDARD for other numbers, and of `stratify` true unless tensorflow-datasets or digits have the data.
    """

    name: str
    validation: float
    resplit: bool = False
    file: TableFile | None = None
    test: float | None = None
    scale: Scale | None = None
    stratify: bool | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What a fingerprint has of the data beside its digests: not where a file is, because that changes no trial."""
        plain = plain_data(self)
        moved = ("file", "test_file", "name") if self.file else ()
        return {key: value for key, value in plain.items() if key not in moved}
