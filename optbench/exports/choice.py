"""Chooses the trials to export, and says why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optbench.comparison.selection import in_finals
from optbench.errors import StudyError, counted
from optbench.storage import Storage, StudyRecord, TrialRecord, best_first, distinct, lacks_best, studies, trials

if TYPE_CHECKING:
    from optbench.comparison.arms import Configuration
    from optbench.scheduler.finals import Finalist


@dataclass(frozen=True)
class Confirmed:
    """A configuration's mean test accuracy on fresh seeds, with the 95 % confidence interval of the mean."""

    study: str
    seeds: int
    test_accuracy: float
    low: float | None  # None: a single seed gives no interval
    high: float | None


@dataclass(frozen=True)
class Choice:
    """A trial to export; `why` says in words why it was chosen. `finalist` is what finals measured of it."""

    study: StudyRecord
    trial: TrialRecord
    why: str
    confirmed: Confirmed | None = None
    finalist: "Finalist | None" = None


def choose(study: StudyRecord, records: Sequence[TrialRecord], number: int | None, top: int = 1) -> list[Choice]:
    """The trial with that number, or the `top` best trials, best first: finalists before the other complete ones.

    Pruned trials win only in finals, and diverged ones never. Nothing is selected by test accuracy: in a study that has
    it as its value, a trial must be chosen by its number. Raises StudyError if there is none.
    """
    finalists = {one.trial: one for one in study.finals.finalists} if study.finals and study.finals.done else {}
    if number is not None:
        named = _named(study, records, number)
        return [Choice(study=study, trial=named, why="chosen by its number", finalist=finalists.get(number))]
    if not study.searches:
        raise StudyError(f"study {study.name!r} is not a search, so it has no best trial; choose one by its number")
    best = distinct(best_first(study.finals, records))
    if not best:
        raise lacks_best(study)
    singles = [trial for trial in best if trial.number not in finalists]
    of = len(finalists) or len(singles)
    ranks = ((rank, trial, finalists.get(trial.number)) for rank, trial in enumerate(best[:top], start=1))
    return [
        Choice(study=study, trial=trial, why=_why(study, rank, finalist, of), finalist=finalist)
        for rank, trial, finalist in ranks
    ]


def _why(study: StudyRecord, rank: int, finalist: "Finalist | None", of: int) -> str:
    """Why a trial has its rank: by its finals, or by its single run."""
    place = "the best" if rank == 1 else f"rank {rank}"
    if finalist is not None:
        return f"{place} of {of} finalists, {in_finals(finalist, study.metric)}"
    return (
        f"{place} by {study.metric} of one run"
        if study.finals
        else f"{place} of {of} complete trials by {study.metric}"
    )


def chosen(storage: Storage, study: StudyRecord, number: int | None = None, top: int | None = None) -> list[Choice]:
    """The trials to export: the one with that number, the `top` best, or else the winner.

    The winner is that of the study's finals; without finals the best confirmed configuration, or else the best trial. A
    choice has its test accuracy on fresh seeds if it was confirmed. Raises StudyError.
    """
    choices = choose(study, trials(storage, study.study_id), number, top or 1)
    if not any(other.confirms(study) for other in studies(storage)):
        return choices  # without loading scipy, which takes a second
    from optbench.comparison.confirmed import confirmations

    configurations = confirmations(storage, study)
    if configurations and number is None and top is None and not (study.finals and study.finals.done):
        several = f"the best by {study.metric} of {len(configurations)} confirmed configurations"
        why = several if len(configurations) > 1 else "the only configuration that was confirmed"
        if (found := choices[0].trial).number != configurations[0].trial.number:
            why += f"; trial {found.number}, which was found later, is better but not confirmed"
        choices = [Choice(study, configurations[0].trial, why)]
    known = {found.trial.number: found for found in configurations}
    return [_with_scores(choice, known.get(choice.trial.number)) for choice in choices]


def _with_scores(choice: Choice, found: "Configuration | None") -> Choice:
    """The choice with its configuration's test accuracy on fresh seeds."""
    if found is None:
        return choice
    from optbench.statistics.seeds import confirmation

    c = confirmation(list(found.scores.values()))
    confirmed = Confirmed(
        study=found.study,
        seeds=c.n,
        test_accuracy=c.mean,
        low=None if c.n < 2 else c.low,
        high=None if c.n < 2 else c.high,
    )
    return replace(choice, confirmed=confirmed, why=f"{choice.why}; confirmed on {counted(c.n, 'seed')}")


def _named(study: StudyRecord, records: Sequence[TrialRecord], number: int) -> TrialRecord:
    """The trial with that number. Raises StudyError if there is none with hyperparameters."""
    for record in records:
        if record.number == number and record.hyperparameters:
            return record
    numbers = [record.number for record in records if record.hyperparameters]
    expected = f"expected {numbers[0]} to {numbers[-1]}" if numbers else "it has none yet"
    raise StudyError(f"study {study.name!r} has no trial {number} with hyperparameters; {expected}")
