"""The records of a sweep's data: where it is, and how it is split and scaled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.choices import Missing, Scale
from optbench.definition.plain import plain_data
from optbench.errors import DataError

ENDINGS = (".csv", ".parquet", ".npz")


def ending(path: str) -> str:
    """How the file's name ends, in small letters: one of ENDINGS, if it can be read."""
    return Path(path).suffix.lower()


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

    @classmethod
    def of_file(cls, file: TableFile, validation: float, **more: Any) -> "DataSource":
        """The data in a file, named after it. Raises DataError for keys that do not go together."""
        _check_file(file, more.get("test"))
        return cls(name=Path(file.path).stem, validation=validation, file=file, **more)

    @property
    def identity(self) -> dict[str, Any]:
        """What a fingerprint has of the data beside its digests, which say what the other keys lead to.

        Where a file is changes no trial, and a default may be left out or written.
        """
        plain = plain_data(self)
        free = ("scale", "stratify", "test", *(("file", "test_file", "name", "drop") if self.file else ()))
        return {key: value for key, value in plain.items() if key not in free}


def _check_file(file: TableFile, test: float | None) -> None:
    if ending(file.path) not in ENDINGS:
        raise DataError(f"[data] file = {file.path!r}; expected a file that ends with {', '.join(ENDINGS)}")
    if ending(file.path) == ".npz":
        for key in ("target", "drop", "missing", "test_file"):
            if getattr(file, key):
                raise DataError(f"[data] {key} is for tables, and {file.path} has arrays; leave it out")
    if file.test_file is not None and test is not None:
        raise DataError(f"[data] test = {test} beside a test_file; expected one of them")
    if file.test_file is not None and ending(file.test_file) not in ENDINGS[:2]:
        raise DataError(f"[data] test_file = {file.test_file!r}; expected a table: {' or '.join(ENDINGS[:2])}")
