"""The table [data] of a sweep file as pydantic models (see models.py)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from optbench.choices import Missing, Scale
from optbench.definition.strategies import Table

if TYPE_CHECKING:  # a type checker cannot read names from an enum
    ScaleName = str
    MissingName = str
else:
    ScaleName, MissingName = Literal[tuple(map(str, Scale))], Literal[tuple(map(str, Missing))]


def _count_or_fraction(value: float) -> float:
    """The number, a whole one as an int. Raises ValueError for one that is neither a count nor a fraction."""
    if value >= 1 and value != int(value):
        raise ValueError("a whole number of examples, or a fraction below 1")
    return int(value) if value == int(value) else value


def _not_the_whole(value: Any) -> Any:
    """The value. Raises ValueError for 1.0, which is meant as a fraction, but would be one example."""
    if isinstance(value, float) and value == 1:
        raise ValueError("a whole number of examples, or a fraction below 1")
    return value


class SomeData(Table):
    """What every kind of data has."""

    validation: Annotated[
        float, Field(ge=0, le=1_000_000_000), AfterValidator(_count_or_fraction), BeforeValidator(_not_the_whole)
    ]
    """How much of the training set is held back for validation: a number of examples, or a fraction below 1; 0 only in
    a list of fixed trials."""
    resplit: bool = False
    """Whether every trial holds back examples of its own, drawn by its seed; only in a list of fixed trials."""
    test: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The fraction to test on, drawn once, where the data does not say which examples these are; 0.2 unless given."""
    scale: ScaleName | None = None
    """How inputs are scaled: divided by 255 (unit), to mean 0 and deviation 1 in the training part (standard), or not
    (none); unit for bytes and standard for other numbers unless given."""
    stratify: bool | None = None
    """Whether every part has the classes in the same proportions; true unless given, but false for digits and for data
    of tensorflow-datasets."""


class DataTable(SomeData):
    """A data set by its name."""

    name: str
    """digits, iris, wine or breast_cancer, which need no network; or mnist, fashion_mnist, kmnist or another data set
    of tensorflow-datasets with one dense input and an integer label."""


class FileTable(SomeData):
    """A person's own data: a table (.csv or .parquet) or arrays (.npz with x and y)."""

    file: str
    """The file, relative to the sweep file's folder."""
    target: str | None = None
    """The column to predict; only for tables, which need it."""
    drop: list[str] = Field(default=[])
    """Columns to leave out; only for tables."""
    test_file: str | None = None
    """A file with the examples to test on, which has the same columns; only for tables."""
    missing: MissingName | None = None
    """What becomes of missing values: filled with the mean of the column's training part (mean), or the row is left out
    (drop); an error unless given."""


def _source(given: Any) -> str:
    """The kind of [data]: a file, or a name."""
    return "file" if isinstance(given, Mapping) and "file" in given else "name"


DataValue = Annotated[Annotated[DataTable, Tag("name")] | Annotated[FileTable, Tag("file")], Discriminator(_source)]
