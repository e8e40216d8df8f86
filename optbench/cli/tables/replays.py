"""A replay as a table of both learning curves, and a sentence on whether they agree."""

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import NOTHING
from optbench.errors import counted
from optbench.worker.replay import Replay


def curves(result: Replay) -> Fitted:
    """Both learning curves, epoch by epoch, with accuracies in percent to four decimals."""
    pairs = list(zip(result.before, result.after, strict=True))
    columns = [
        Column("epoch", [str(old.epoch) for old, _ in pairs]),
        Column("training accuracy %", [_exact(old.train_accuracy) for old, _ in pairs]),
        Column("again", [_exact(new.train_accuracy) for _, new in pairs]),
        Column("validation accuracy %", [_exact(old.validation_accuracy) for old, _ in pairs]),
        Column("again", [_exact(new.validation_accuracy) for _, new in pairs]),
        Column("difference, percentage points", [_exact(result.difference(old, new)) for old, new in pairs]),
    ]
    return Fitted(columns)


def agreement(result: Replay) -> str:
    """Whether the replay agrees with the stored trial, and how closely it had to."""
    allowed = f"to {100 * result.tolerance:g} percentage points" if result.tolerance else "exactly"
    tested = ""
    if result.tested:
        before, after = result.tested
        tested = f", test accuracy {100 * before:.2f} % and {100 * after:.2f} %"
    return (
        f"{'same' if result.same else 'DIFFERENT'}: {counted(len(result.before), 'epoch')} compared {allowed}{tested}"
    )


def _exact(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.4f}"
