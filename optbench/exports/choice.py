"""Which trials are exported, and why; and how an export gets into its file."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.errors import StudyError
from optbench.storage import StudyRecord, TrialRecord, best_trials


@dataclass(frozen=True)
class Confirmed:
    """What a configuration reached on fresh seeds: its mean test accuracy, with the 95 % interval of the mean."""

    study: str
    seeds: int
    test_accuracy: float
    low: float | None  # None: one seed says nothing of spread
    high: float | None


@dataclass(frozen=True)
class Choice:
    """A trial to export; `why` it was chosen, in words."""

    study: StudyRecord
    trial: TrialRecord
    why: str
    confirmed: Confirmed | None = None


def choose(study: StudyRecord, records: Sequence[TrialRecord], number: int | None, top: int = 1) -> list[Choice]:
    """The trial of that number, or the `top` best complete ones, best first. Raises StudyError if there is none.

    Pruned and diverged trials never win. Nothing is selected by test accuracy: where that is the value, the trial has
    to be named.
    """
    if number is not None:
        return [Choice(study, _named(study, records, number), "named")]
    if not study.searches:
        raise StudyError(f"study {study.name!r} selects nothing, so it has no best trial; name one with --trial N")
    best = best_trials(records)
    if not best:
        raise StudyError(f"study {study.name!r} has no complete trial yet; carry on with `optbench sweep`")
    chosen = []
    for rank, trial in enumerate(best[:top], start=1):
        place = "the best" if rank == 1 else f"number {rank}"
        chosen.append(Choice(study, trial, f"{place} of {len(best)} complete trials by {study.metric}"))
    return chosen


def with_confirmation(choice: Choice, confirmed: Confirmed | None) -> Choice:
    """The choice with what its configuration reached on fresh seeds, where that is known."""
    if confirmed is None:
        return choice
    return replace(choice, confirmed=confirmed, why=f"{choice.why}; confirmed on {confirmed.seeds} seeds")


def write(content: bytes, path: Path) -> None:
    """Put the content into the file, all of it or none; into a pipe or a device, as it is. Raises StudyError."""
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            whole = Path(folder) / "whole"
            whole.write_bytes(content)
            os.replace(whole, path)
    except OSError as problem:
        raise StudyError(f"{path} cannot be written: {problem.strerror}; choose another file") from problem


def _named(study: StudyRecord, records: Sequence[TrialRecord], number: int) -> TrialRecord:
    for record in records:
        if record.number == number and record.hyperparameters:
            return record
    expected = f"expected 0 to {len(records) - 1}" if records else "it has none yet"
    raise StudyError(f"study {study.name!r} has no trial {number} with hyperparameters; {expected}")
