"""A comparison as a table: the accuracies of the default, the published and the tuned setting of every arm."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import optimism

if TYPE_CHECKING:
    from optbench.comparison.rows import Row


def arms(rows: "Sequence[Row]") -> Fitted:
    """One row per arm. Accuracies are in percent and on test examples, except for the best validation accuracy."""
    from optbench.comparison.rows import interval

    columns = [
        Column("arm", [row.arm.name for row in rows], text=True),
        Column("trials", [str(row.arm.trials) for row in rows]),
        Column("epochs in all", [str(row.arm.consumed) for row in rows]),
        Column("best validation %", [row.arm.selection.in_percent for row in rows]),
        Column("chosen by", [row.arm.selection.in_words for row in rows], rank=1, text=True),
        Column("single run - mean", [optimism(row.arm.selection.finalist) for row in rows], rank=2),
        Column("default %", [interval(row.default) for row in rows]),
        Column("paper %", [interval(row.paper) for row in rows]),
        Column("tuned %", [interval(row.tuned) for row in rows]),
        Column("seeds", [str(row.tuned.n) if row.tuned else "-" for row in rows]),
    ]
    return Fitted(columns)
