"""Reads arrays: from an .npz file, or from a Dataset of the Python API."""

import errno
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from optbench.data.dataset import Array
from optbench.errors import DataError, NotPreparedError, counted

BEYOND = "has infinite values, or some beyond float32's range"
FINITE = "expected finite numbers"
UNREADABLE = (AttributeError, EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for a file that is no .npz file or a damaged one, and for one that lacks an array."""


@dataclass(frozen=True)
class Raw:
    """What a source holds: inputs [n, ...] with NaN where a value is missing, and targets [n], numbers or texts.

    `classes` are the names of the targets 0, 1, and so on, if the source has names.
    """

    inputs: Array
    targets: Array
    classes: tuple[str, ...] | None = None


def read_arrays(path: str) -> tuple[Raw, Raw | None]:
    """The arrays of an .npz file (see `examples_of`). Raises DataError, and NotPreparedError as `reading` does."""
    try:
        with reading(path), Path(path).open("rb") as opened:
            held = np.load(opened, allow_pickle=False)
            arrays = {name: _plain(held, name, path) for name in held.files}
    except UNREADABLE as problem:
        raise DataError(f"{path} is not an .npz file, or a damaged one; numpy.savez makes such files") from problem
    return examples_of(arrays, path)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Raises NotPreparedError where this machine refuses or fails to read the file, which others may be able to.

    numpy and pyarrow also raise OSErrors about what a damaged file holds: these have no number, or EINVAL.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno in (None, errno.EINVAL):
            raise
        raise NotPreparedError(f"{path} cannot be read on this machine: {os.strerror(problem.errno)}") from problem


def _plain(held: Mapping[str, Array], name: str, path: str) -> Array:
    """An array of a file. Raises DataError for one of Python objects, which numpy would have to run code for."""
    try:
        return held[name]
    except ValueError as problem:
        if "allow_pickle" not in str(problem):
            raise
        raise DataError(
            f"{path}: {name} holds Python objects; save it as texts or numbers: {name}.astype(str)"
        ) from problem


def examples_of(arrays: Mapping[str, Array], where: str) -> tuple[Raw, Raw | None]:
    """The examples x, y to train on, and x_test, y_test to test on if there are any; `classes` may name the targets.

    Raises DataError for arrays that do not belong together.
    """
    if not {"x", "y"} <= arrays.keys():
        raise DataError(f"{where} has the arrays {', '.join(arrays) or 'none'}; expected x and y")
    names = _class_names(arrays.get("classes"), where)
    train = replace(_raw(arrays["x"], arrays["y"], where), classes=names)
    _check_targets(train, where)
    if not {"x_test", "y_test"} & arrays.keys():
        return train, None
    if not {"x_test", "y_test"} <= arrays.keys():
        raise DataError(f"{where} has only one of x_test and y_test; expected both or none")
    test = _raw(arrays["x_test"], arrays["y_test"], f"{where}: the test part")
    for kind, one, other in (
        ("the shape", test.inputs.shape[1:], train.inputs.shape[1:]),
        ("values of the type", test.inputs.dtype, train.inputs.dtype),
    ):
        if one != other:
            raise DataError(f"{where}: x_test has inputs of {kind} {one}, x of {other}; expected the same")
    return train, test


def _raw(x: Array, y: Array, where: str) -> Raw:
    if x.ndim >= 2 and len(x) == len(y) == 0:
        raise DataError(f"{where} has no examples")
    if x.ndim >= 2 and 0 in x.shape[1:]:
        raise DataError(f"{where}: x has the shape {x.shape}, so that its examples have no features")
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{where}: x has the shape {x.shape} and y {y.shape}; expected [n, ...] and [n]")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: x has {x.dtype} values; expected numbers")
    if y.dtype.kind == "O":
        y = _alike(y, where)
    if x.dtype != np.uint8:
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            x = x.astype(np.float32)
        strange = np.count_nonzero(~np.isfinite(x))
        if strange:
            raise DataError(
                f"{where}: x has {counted(int(strange), 'number')} beyond float32, infinite or NaN; {FINITE}"
            )
    return Raw(x, y)


def _alike(y: Array, where: str) -> Array:
    """Python objects as an array of texts, numbers or booleans. Raises DataError for a mixture of them."""
    values = [value.item() if isinstance(value, np.generic) else value for value in y]
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {bool}) and not kinds <= {int, float}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"{where}: y has values of the types {names}; expected texts, whole numbers or booleans only")
    return np.array(values)


def _class_names(given: Array | None, where: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = tuple(map(str, given.ravel().tolist()))
    if given.ndim != 1 or len(set(names)) != len(names):
        raise DataError(f"{where}: classes are {', '.join(names[:5])}; expected a list of different names")
    return names


def _check_targets(held: Raw, where: str) -> None:
    """Raise DataError for targets that are no classes, or that have no name among those that were given."""
    values = np.unique(held.targets)
    if values.dtype.kind == "f" and (lacking := int(np.isnan(held.targets).sum())):
        raise DataError(f"{where}: y lacks {counted(lacking, 'label')} (NaN); leave these examples out")
    if len(values) < 2:
        raise DataError(f"{where} has one class only, {values[0]!s}; expected two or more")
    if values.dtype.kind == "f" and (strange := values[values != np.round(values)]).size:
        raise DataError(
            f"{where}: y has numbers that are not whole, such as {strange[0]:g}; regression is not supported"
        )
    if held.classes is not None and values.dtype.kind in "biuf" and values[-1] >= len(held.classes):
        raise DataError(
            f"{where}: y has the class {values[-1]:g}, but classes has only {counted(len(held.classes), 'name')}"
        )
