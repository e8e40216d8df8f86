"""A study's trials and epochs as columns: for `Study.table()` and `.epochs()`, and for CSV and Parquet files."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optbench.errors import DefinitionError
from optbench.optimizers.spelling import spelled
from optbench.storage import TrialRecord
from optbench.training.contract import Epoch

Cell = int | float | str | bool | datetime | None
Columns = dict[str, list[Any]]
"""Lists of equal length by column name; a cell is an int, float, str, bool, datetime (UTC) or None."""


def trial_columns(records: Sequence[TrialRecord]) -> Columns:
    """One row per trial: its number, slot and state, every hyperparameter, and how its training went.

    Hyperparameters have Keras' names. A parameter that was searched under another name (`one_minus_rho`) has a column
    of its own as well. `value` is None unless the trial is complete; `last` is the end of its learning curve. Trials
    that another program added have only parameters; one named like a fixed column is called `param_NAME`.
    """
    columns: Columns = {
        "trial": [r.number for r in records],
        "slot": [r.slot for r in records],
        "state": [str(r.state) for r in records],
        "value": [r.value for r in records],
        "last": [r.last for r in records],
        "label": [r.label for r in records],
        "optimizer": [r.optimizer for r in records],
    }
    rest: Columns = {
        "seed": [r.seed for r in records],
        "epochs": [r.epochs for r in records],
        "seconds": [r.seconds for r in records],
        "started": [_utc(r.started) for r in records],
        "ended": [_utc(r.ended) for r in records],
        "lanes": [r.lanes for r in records],
        "trainer": [r.trainer for r in records],
        "device": [r.device for r in records],
        "threads": [r.threads for r in records],
        "xla": [r.xla for r in records],
        "worker": [r.worker for r in records],
        "reason": [r.reason for r in records],
        "audit": [r.audit for r in records],
    }
    taken = columns.keys() | rest.keys()
    given = [spelled(r.optimizer, {**r.params, **r.hyperparameters}) for r in records]
    for name in _in_order(
        name for values in ([r.hyperparameters for r in records], given) for v in values for name in v
    ):
        columns[f"param_{name}" if name in taken else name] = [values.get(name) for values in given]
    return columns | rest


def epoch_columns(records: Sequence[TrialRecord], curves: Mapping[int, Sequence[Epoch]]) -> Columns:
    """One row per trained epoch, by column name: `trial`, then the fields of Epoch; `curves` by trial id."""
    rows = [(r.number, epoch) for r in records for epoch in curves.get(r.trial_id, ())]
    columns: Columns = {"trial": [number for number, _ in rows]}
    return columns | {field.name: [getattr(epoch, field.name) for _, epoch in rows] for field in fields(Epoch)}


def check_table_path(path: Path, option: str) -> None:
    """Raise DefinitionError unless the name's suffix is that of a format that tables can be written in."""
    if path.suffix.lower() not in ENCODERS:
        raise DefinitionError(f"{option} {path}; expected a file that ends in {' or '.join(ENCODERS)}")


def encode_table(columns: Columns, path: Path) -> bytes:
    """The columns in the format that the path's suffix names (see check_table_path)."""
    return ENCODERS[path.suffix.lower()](columns)


def as_csv(columns: Columns) -> bytes:
    """UTF-8 with a header; numbers in full precision, times in ISO 8601, None as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([cell.isoformat() if isinstance(cell, datetime) else cell for cell in row])
    return text.getvalue().encode()


def as_parquet(columns: Columns) -> bytes:
    """A Parquet file: the columns keep their types, None becomes null."""
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({name: one_type(cells) for name, cells in columns.items()}), buffer)
    return buffer.getvalue()


ENCODERS: Mapping[str, Callable[[Columns], bytes]] = {".csv": as_csv, ".parquet": as_parquet}


def one_type(cells: list[Any]) -> list[Any]:
    """The cells unchanged, or as text if their types are mixed, which happens only in other programs' studies."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return cells
    return [None if cell is None else str(cell) for cell in cells]


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
