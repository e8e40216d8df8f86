"""Makes the record of a data set from the table [data] of a sweep file, or says which key is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.choices import Missing, Scale
from optbench.definition.data import DataSource, TableFile

if TYPE_CHECKING:
    from optbench.definition.data_models import DataTable, FileTable


def parse_data(given: Mapping[str, Any], where: str) -> DataSource:
    """The data that plain data defines, as in a sweep's table [data]. Raises DefinitionError."""
    from pydantic import ValidationError

    from optbench.definition.models import OnlyData
    from optbench.definition.problems import problem

    table = {"data": {"validation": 0, **given} if isinstance(given, Mapping) else given}
    try:
        return data_of(OnlyData.model_validate(table).data)
    except ValidationError as error:
        raise problem(error.errors(include_url=False), table, where, ()) from None


def data_of(read: "DataTable | FileTable") -> DataSource:
    """The record of a table that is valid by itself.

    Paths are made absolute, because a worker elsewhere has another working directory.
    """
    held = read.model_dump()
    shared = {key: held.pop(key) for key in ("validation", "resplit", "test", "stratify")}
    shared["scale"] = None if held["scale"] is None else Scale(held["scale"])
    if "name" in held:
        return DataSource(name=held["name"], **shared)
    path, test_file = (None if held[key] is None else str(Path(held[key]).absolute()) for key in ("file", "test_file"))
    missing = None if held["missing"] is None else Missing(held["missing"])
    file = TableFile(
        path=str(path), target=held["target"], drop=tuple(held["drop"]), missing=missing, test_file=test_file
    )
    return DataSource.of_file(file, **shared)
