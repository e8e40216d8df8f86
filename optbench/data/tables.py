"""Reads a person's own data from a file: a table (.csv, .parquet), or arrays (.npz, see arrays.py)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optbench.choices import Missing
from optbench.data.arrays import BEYOND, Raw, read_arrays, reading
from optbench.data.dataset import Array
from optbench.definition.data import TableFile, ending
from optbench.errors import DataError, NotPreparedError, counted, nearest

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = {";": "semicolons", "\t": "tabs"}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MAX_VALUES = 100  # different values of a text column, each of which becomes an input


@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become inputs.

    `values` are the different values of each text column, in order. A text becomes a 1 among zeros, one for each of
    them; a text that is missing, or that is none of them, becomes zeros alone.
    """

    columns: Sequence[str]
    values: Mapping[str, Sequence[str]]


def read_file(file: TableFile) -> tuple[Raw, Raw | None]:
    """The examples to train and validate on, and those to test on if the file or its test file has them.

    Raises DataError with one line that says what is wrong and what to write.
    """
    check_there(file)
    if ending(file.path) == ".npz":
        return read_arrays(file.path)
    table = _table(file.path, None)
    encoding = _encoding(table, file)
    train = _raw(table, encoding, file, file.path)
    if file.test_file is None:
        return train, None
    return train, _raw(_table(file.test_file, table.schema), encoding, file, file.test_file)


def check_there(file: TableFile) -> None:
    """Raise NotPreparedError unless the file is there, and its test file, if it has one; DataError for a folder."""
    for path in filter(None, (file.path, file.test_file)):
        with reading(path):
            folder, there = Path(path).is_dir(), Path(path).is_file()
        if folder:
            raise DataError(f"{path} is a folder; expected one of its files")
        if not there:
            raise NotPreparedError(
                f"there is no file {path}; if it moved, name the folder that it is in now: --data-dir DIR"
            )


def _table(path: str, like: "pyarrow.Schema | None") -> "pyarrow.Table":
    """The table of a file; with the types of another one, so that both are encoded alike.

    Raises DataError, and NotPreparedError as `reading` does.
    """
    import pyarrow
    from pyarrow import csv, parquet

    kinds = {} if like is None else {field.name: field.type for field in like}
    try:
        with reading(path):
            if ending(path) == ".parquet":
                _check_names(parquet.read_schema(path).names, path)
                table = parquet.read_table(path)
            else:
                options = csv.ConvertOptions(strings_can_be_null=True, column_types=kinds)
                table = csv.read_csv(path, convert_options=options)
        for place, field in enumerate(table.schema):
            kind = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
            kind = kinds.get(field.name, pyarrow.float64() if pyarrow.types.is_decimal(kind) else kind)
            if kind != field.type:
                table = table.set_column(place, field.name, table.column(place).cast(kind))
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text; save it as UTF-8") from problem
    except (pyarrow.ArrowException, OSError) as problem:
        if ending(path) == ".csv" and Path(path).read_bytes()[:2] in UTF_16:
            raise DataError(f"{path} is UTF-16 text; save it as UTF-8") from problem
        said = re.sub(r"CSV column #(\d+)", lambda found: f"column {int(found[1]) + 1}", str(problem).splitlines()[0])
        raise DataError(f"{path} cannot be read: {said}") from problem
    _check_names(table.column_names, path)
    return table


def _check_names(names: Sequence[str], path: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has several columns named {twice[0]!r}; expected different names")
    for separator, word in SEPARATORS.items():
        if len(names) == 1 and separator in names[0] and ending(path) == ".csv":
            raise DataError(f"{path} has {word} between its columns; expected commas")


def _encoding(table: "pyarrow.Table", file: TableFile) -> Encoding:
    names, path = table.column_names, file.path
    if file.target is None:
        raise DataError(
            f"[data] target is missing; expected the column of {path} to predict, one of {', '.join(names)}"
        )
    for key, name in (("target", file.target), *(("drop", name) for name in file.drop)):
        if name not in names:
            raise DataError(f"[data] {key}: {path} has no column {name!r}; {nearest(name, names)}")
    if file.target in file.drop:
        raise DataError(f"[data] drop has the target {file.target!r}; leave it out of drop, or name another target")
    kind = table.schema.field(file.target).type
    if not _is_text(kind) and not _is_number(kind):
        raise DataError(
            f"{path}: the target {file.target!r} has {kind} values; expected whole numbers, texts or booleans"
        )
    columns = [name for name in names if name != file.target and name not in file.drop]
    if not columns:
        raise DataError(f"{path} has no column beside the target {file.target!r} that is not dropped; expected inputs")
    return Encoding(columns, dict(_texts(table, columns, path)))


def _texts(table: "pyarrow.Table", columns: Sequence[str], path: str) -> Iterator[tuple[str, list[str]]]:
    """The different values of each text column. Raises DataError for a column that is neither text nor numbers."""
    for name in columns:
        kind = table.schema.field(name).type
        if _is_text(kind):
            values = sorted(value for value in table.column(name).unique().to_pylist() if value is not None)
            if len(values) > MAX_VALUES:
                raise DataError(
                    f"{path}: the text column {name!r} has {len(values):,} different values; expected at most "
                    f'{MAX_VALUES}; leave it out: [data] drop = ["{name}"]'
                )
            yield name, values
        elif not _is_number(kind):
            raise DataError(
                f"{path}: the column {name!r} has {kind} values; expected numbers, booleans or texts; leave it out: "
                f'[data] drop = ["{name}"]'
            )


def _is_text(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind) or kinds.is_null(kind))


def _raw(table: "pyarrow.Table", encoding: Encoding, file: TableFile, path: str) -> Raw:
    """The rows of a table as inputs and targets, after the check for missing values."""
    used = [*encoding.columns, str(file.target)]
    if absent := [name for name in used if name not in table.column_names]:
        raise DataError(f"{path} has no column {absent[0]!r}, which {file.path} has; expected the same columns")
    missing = {name: _nulls(table.column(name)) for name in used}
    empty = next((name for name in used if missing[name].size and missing[name].all()), None)
    if empty is not None and path == file.path:
        raise DataError(f'{path}: the column {empty!r} has no values; leave it out: [data] drop = ["{empty}"]')
    if file.missing is Missing.DROP:
        table = table.filter(~np.any(list(missing.values()), axis=0))
    else:
        refused = [str(file.target)] if file.missing is Missing.MEAN else used
        lacking = {name: int(missing[name].sum()) for name in refused if missing[name].any()}
        if lacking:
            shown = ", ".join(f"{name} ({counted(count, 'row')})" for name, count in lacking.items())
            fill = "" if file.target in lacking else 'missing = "mean", or '
            raise DataError(f'{path} lacks values: {shown}; expected [data] {fill}missing = "drop"')
    if not len(table):
        why = "every row lacks a value" if file.missing is Missing.DROP else "it has no rows"
        raise DataError(f"{path} has no examples: {why}")
    parts = [_inputs(table.column(name), encoding.values.get(name)) for name in encoding.columns]
    for name, part in zip(encoding.columns, parts, strict=True):
        if np.isinf(part).any():
            raise DataError(f'{path}: the column {name!r} {BEYOND}; leave it out: [data] drop = ["{name}"]')
    return Raw(np.concatenate(parts, axis=1), np.asarray(table.column(str(file.target)).to_pylist()))


def _nulls(column: Any) -> Array:
    return np.asarray(column.is_null(nan_is_null=True).to_numpy(), bool)


def _inputs(column: Any, values: Sequence[str] | None) -> Array:
    """A column as inputs, float32 [n, 1], or [n, values] for a text column."""
    if values is None:
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            return np.asarray(column.to_numpy()).astype(np.float32)[:, None]  # null becomes NaN
    import pyarrow
    from pyarrow import compute

    places = compute.index_in(column, value_set=pyarrow.array(values, column.type)).fill_null(-1).to_numpy()
    return np.asarray(places[:, None] == np.arange(len(values)), np.float32)
