"""A table of plain columns, which pandas, polars and Arrow can read."""

from collections.abc import Iterator, Mapping
from typing import Any

from optbench.exports.tables import Columns, one_type

SHOWN = 10  # rows in a notebook


class Table(Mapping[str, list[Any]]):
    """Columns by name, lists of equal length: `dict(table)` is plain data.

    `polars.DataFrame(table)`, `pyarrow.table(table)` and `pandas.DataFrame(dict(table))` read it, and so does every
    library that supports the Arrow stream or the dataframe interchange protocol.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return self.to_arrow().__dataframe__(nan_as_null, allow_copy)

    def to_arrow(self) -> Any:
        """A pyarrow.Table; None becomes null."""
        import pyarrow

        return pyarrow.table({name: one_type(cells) for name, cells in self.columns.items()})

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values()), []))
        return f"Table of {rows} rows: {', '.join(self.columns)}"

    def _repr_html_(self) -> str:
        from html import escape

        rows = list(zip(*self.columns.values(), strict=True))
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_shown(cell))}</td>' for cell in row)}</tr>" for row in rows[:SHOWN]
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{len(rows)} rows</p>"


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
