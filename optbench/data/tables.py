"""Reads a person's own data from a file: a table (.csv, .parquet), or arrays (.npz)."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optbench.data.dataset import Array
from optbench.definition.data import Missing, TableFile
from optbench.errors import DataError, counted, nearest

if TYPE_CHECKING:
    import pyarrow

MOST_VALUES = 100  # different values of a text column, each of which becomes an input
ENDINGS = (".csv", ".parquet", ".npz")


@dataclass(frozen=True)
class Raw:
    """What a file holds: inputs [n, ...] with NaN where a value is missing, and targets [n], numbers or texts."""

    inputs: Array
    targets: Array


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
    if Path(file.path).suffix == ".npz":
        return _arrays(file)
    table = _table(file.path)
    encoding = _encoding(table, file)
    train = _raw(table, encoding, file, file.path)
    return train, _raw(_table(file.test_file), encoding, file, file.test_file) if file.test_file else None


def check_exists(path: str) -> None:
    """Raise DataError for a file that is not there, or of a kind that cannot be read."""
    if Path(path).suffix not in ENDINGS:
        raise DataError(f"{path}: expected a file that ends with {', '.join(ENDINGS)}")
    if not Path(path).is_file():
        raise DataError(f"{path} is not a file; if it moved, name the folder that it is in now: --data-dir DIR")


def _table(path: str) -> "pyarrow.Table":
    import pyarrow
    from pyarrow import csv, parquet

    check_exists(path)
    try:
        if Path(path).suffix == ".parquet":
            return parquet.read_table(path)
        return csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    except (pyarrow.ArrowException, OSError) as problem:
        raise DataError(f"{path} cannot be read: {str(problem).splitlines()[0]}") from problem


def _encoding(table: "pyarrow.Table", file: TableFile) -> Encoding:
    names, path = table.column_names, file.path
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path} has several columns named {twice[0]!r}; expected different names")
    if file.target is None:
        raise DataError(
            f"[data] target is missing; expected the column of {path} to predict, one of {', '.join(names)}"
        )
    for key, name in (("target", file.target), *(("drop", name) for name in file.drop)):
        if name not in names:
            raise DataError(f"[data] {key}: {path} has no column {name!r}; {nearest(name, names)}")
    columns = [name for name in names if name != file.target and name not in file.drop]
    if not columns:
        raise DataError(f"{path} has no column beside the target {file.target!r} that is not dropped; expected inputs")
    return Encoding(columns, dict(_texts(table, columns, path)))


def _texts(table: "pyarrow.Table", columns: Sequence[str], path: str) -> Iterator[tuple[str, list[str]]]:
    """The different values of each text column. Raises DataError for a column that is neither text nor numbers."""
    import pyarrow.types as kinds

    for name in columns:
        kind = table.schema.field(name).type
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        if kinds.is_string(kind) or kinds.is_large_string(kind):
            values = sorted(value for value in table.column(name).unique().to_pylist() if value is not None)
            if len(values) > MOST_VALUES:
                raise DataError(
                    f"{path}: the text column {name!r} has {len(values):,} different values; expected at most "
                    f'{MOST_VALUES}; leave it out: [data] drop = ["{name}"]'
                )
            yield name, values
        elif not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind) or kinds.is_null(kind)):
            raise DataError(
                f"{path}: the column {name!r} has {kind} values; expected numbers, booleans or texts; leave it out: "
                f'[data] drop = ["{name}"]'
            )


def _raw(table: "pyarrow.Table", encoding: Encoding, file: TableFile, path: str) -> Raw:
    """The rows of a table as inputs and targets, after the check for missing values."""
    used = [*encoding.columns, str(file.target)]
    if absent := [name for name in used if name not in table.column_names]:
        raise DataError(f"{path} has no column {absent[0]!r}, which {file.path} has; expected the same columns")
    missing = {name: _nulls(table.column(name)) for name in used}
    if file.missing is Missing.DROP:
        table = table.filter(~np.any(list(missing.values()), axis=0))
    else:
        lacking = {name: int(found.sum()) for name, found in missing.items() if found.any()}
        if file.missing is Missing.MEAN and lacking.pop(str(file.target), 0):
            lacking = {str(file.target): int(missing[str(file.target)].sum())}
        elif file.missing is Missing.MEAN:
            lacking = {}
        if lacking:
            shown = ", ".join(f"{name} ({counted(count, 'row')})" for name, count in lacking.items())
            fill = "" if str(file.target) in lacking else 'missing = "mean", or '
            raise DataError(f'{path} lacks values: {shown}; expected [data] {fill}missing = "drop"')
    if not len(table):
        why = "every row lacks a value" if file.missing is Missing.DROP else "it has no rows"
        raise DataError(f"{path} has no examples: {why}")
    parts = [_inputs(table.column(name), encoding.values.get(name)) for name in encoding.columns]
    for name, part in zip(encoding.columns, parts, strict=True):
        if np.isinf(part).any():
            raise DataError(f'{path}: the column {name!r} has infinite values; leave it out: [data] drop = ["{name}"]')
    return Raw(np.concatenate(parts, axis=1), np.asarray(table.column(str(file.target)).to_pylist()))


def _nulls(column: Any) -> Array:
    return np.asarray(column.is_null(nan_is_null=True).to_numpy(), bool)


def _inputs(column: Any, values: Sequence[str] | None) -> Array:
    """A column as inputs, float32 [n, 1], or [n, values] for a text column."""
    if values is None:
        return np.asarray(column.to_numpy()).astype(np.float32)[:, None]  # null becomes NaN
    place = {value: index for index, value in enumerate(values)}
    found = np.zeros((len(column), len(values)), np.float32)
    for row, value in enumerate(column.to_pylist()):
        if value in place:
            found[row, place[value]] = 1
    return found


def _arrays(file: TableFile) -> tuple[Raw, Raw | None]:
    """The arrays x and y of an .npz file, and x_test and y_test if it has them."""
    path = file.path
    check_exists(path)
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} cannot be read: {str(problem).splitlines()[0]}") from problem
    if not {"x", "y"} <= arrays.keys():
        raise DataError(f"{path} has the arrays {', '.join(arrays) or 'none'}; expected x and y")
    for key in ("target", "drop", "missing", "test_file"):
        if getattr(file, key):
            raise DataError(f"[data] {key} is for tables, and {path} has arrays; leave it out")
    train = raw_of(arrays["x"], arrays["y"], path)
    if not {"x_test", "y_test"} & arrays.keys():
        return train, None
    if not {"x_test", "y_test"} <= arrays.keys():
        raise DataError(f"{path} has only one of x_test and y_test; expected both or none")
    test = raw_of(arrays["x_test"], arrays["y_test"], f"{path}, test arrays")
    if test.inputs.shape[1:] != train.inputs.shape[1:]:
        raise DataError(f"{path}: x_test has inputs {test.inputs.shape[1:]}, x {train.inputs.shape[1:]}")
    return train, test


def raw_of(x: Array, y: Array, where: str) -> Raw:
    """Arrays as inputs and targets. Raises DataError if they do not belong together, or hold no finite numbers."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y) or not len(x):
        raise DataError(f"{where}: x has the shape {x.shape} and y {y.shape}; expected [n, ...] and [n]")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: x has {x.dtype} values; expected numbers")
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise DataError(
                f"{where}: {np.count_nonzero(~np.isfinite(x)):,} inputs are NaN or infinite; expected numbers"
            )
    return Raw(x, y)
