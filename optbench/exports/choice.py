"""Which trials are exported, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optbench.errors import StudyError
from optbench.storage import Storage, StudyRecord, TrialRecord, best_trials, distinct, lacks_best, studies, trials

if TYPE_CHECKING:
    from optbench.analysis.arms import Configuration


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
        return [Choice(study, _named(study, records, number), "named by its number")]
    if not study.searches:
        raise StudyError(f"study {study.name!r} selects nothing, so it has no best trial; name one with --trial N")
    best = distinct(best_trials(records))
    if not best:
        raise lacks_best(study)
    chosen = []
    for rank, trial in enumerate(best[:top], start=1):
        place = "the best" if rank == 1 else f"number {rank}"
        chosen.append(Choice(study, trial, f"{place} of {len(best)} complete trials by {study.metric}"))
    return chosen


def chosen(storage: Storage, study: StudyRecord, number: int | None = None, top: int | None = None) -> list[Choice]:
    """What is exported of the study: the trial of that number, the `top` best, or the winner of its confirmation if it
    was confirmed, else the best; each with what it reached on fresh seeds, as far as that is known. Raises StudyError.
    """
    choices = choose(study, trials(storage, study.study_id), number, top or 1)
    if not any(other.origin == study.name for other in studies(storage)):
        return choices  # and scipy, which takes a second, is not loaded
    from optbench.analysis.collect import confirmations

    configurations = confirmations(storage, study)
    if configurations and number is None and top is None:
        why = f"the best by {study.metric} of {len(configurations)} confirmed configurations"
        if (found := choices[0].trial).number != configurations[0].trial.number:
            why += f", before trial {found.number} was found, which is better and not confirmed"
        choices = [Choice(study, configurations[0].trial, why)]
    known = {found.trial.number: found for found in configurations}
    return [_with_scores(choice, known.get(choice.trial.number)) for choice in choices]


def _with_scores(choice: Choice, found: "Configuration | None") -> Choice:
    """The choice with what its configuration reached on fresh seeds."""
    if found is None:
        return choice
    from optbench.analysis.statistics import confirmation

    c = confirmation(list(found.scores.values()))
    ends = (None, None) if c.n < 2 else (c.low, c.high)
    confirmed = Confirmed(found.study, c.n, c.mean, *ends)
    return replace(choice, confirmed=confirmed, why=f"{choice.why}; confirmed on {c.n} seeds")


def _named(study: StudyRecord, records: Sequence[TrialRecord], number: int) -> TrialRecord:
    for record in records:
        if record.number == number and record.hyperparameters:
            return record
    expected = f"expected 0 to {len(records) - 1}" if records else "it has none yet"
    raise StudyError(f"study {study.name!r} has no trial {number} with hyperparameters; {expected}")
