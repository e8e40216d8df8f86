"""Confirms searches in rounds of more and more seeds, until every pair of them is decided at every look."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from optbench.comparison.collect import collect, named
from optbench.comparison.comparable import differences, family
from optbench.comparison.conclusions import Conclusion
from optbench.comparison.confirmation import Plan, Training, confirmation, plan, training_of
from optbench.comparison.copies import check_copies
from optbench.comparison.known import trained_elsewhere, with_known
from optbench.comparison.sentences import standing
from optbench.comparison.verdict import Pair, pairs
from optbench.errors import StudyError
from optbench.storage import Storage, UntilDecided, find_study, note_until_decided, studies, trials

MAX_SEEDS = 100
"""After how many seeds a decision is given up, if nothing else is asked."""


@dataclass(frozen=True)
class ConfirmationRequest:
    """What a confirmation is asked for.

    The best `top` configurations of each search and the known settings of its optimizer, for `epochs` (None: the
    search's), on `seeds` fresh seeds. With `until_decided`, further seeds are added in rounds.
    """

    names: Sequence[str]
    top: int
    seeds: int
    epochs: int | None
    until_decided: UntilDecided | None = None


def plans(storage: Storage, request: ConfirmationRequest, seeds: int | None = None) -> list[Plan]:
    """A plan for each search, on so many seeds (None: as many as were requested).

    A known setting that several searches share is in the first of their plans: a comparison finds it in any study.
    Raises StudyError if one is not a search, or has no complete trial.
    """
    every = studies(storage)
    planned: defaultdict[tuple[str, int], set[Training]] = defaultdict(set)
    found = []
    number = request.seeds if seeds is None else seeds
    for study in [find_study(storage, name) for name in dict.fromkeys(request.names)]:
        records = trials(storage, study.study_id)
        sweep = confirmation(study, records, request.top, number, request.epochs)
        alike = planned[family(study), sweep.epochs]
        sweep = with_known(sweep, alike | trained_elsewhere(storage, study, sweep.epochs, every))
        one = plan(sweep, study, every)
        alike |= {training_of(trial) for trial in one.sweep.fixed}
        found.append(one)
    return found


def schedule(first: int, most: int) -> Iterator[int]:
    """The numbers of seeds of the rounds: a quarter more each time, at least 4, up to `most`."""
    seeds = min(first, most)
    yield seeds
    while seeds < most:
        seeds = min(most, seeds + max(4, seeds // 4))
        yield seeds


def until_decided(
    opened: Callable[[], AbstractContextManager[Storage]],
    request: ConfirmationRequest,
    train: Callable[[Sequence[Plan]], bool],
    say: Callable[[str], None],
) -> list[Pair]:
    """The verdicts on all pairs, after rounds of seeds until each is decided or the largest number is reached.

    `train` trains plans, and returns whether it reached their ends; `say` gets a line for each pair after each round.
    What was trained before counts, so the same request carries on. Raises StudyError, before anything is trained, if
    the searches do not compare.
    """
    asked = request.until_decided
    assert asked is not None, "without it there is one round and no decision"
    with opened() as storage:
        _check(storage, request.names)
        for one in plans(storage, request):  # new studies get it when they are made
            if one.extends is not None and one.extends.until_decided != asked:
                note_until_decided(storage, one.extends.study_id, asked)
    found: list[Pair] = []
    for seeds in schedule(request.seeds, asked.max_seeds):
        with opened() as storage:
            lacking = [one for one in plans(storage, request, seeds) if one.lacks_trials]
        whole = not lacking or train(lacking)
        with opened() as storage:
            comparison = collect(storage, request.names, anyway=True, with_curves=False)
        found = pairs(comparison.arms, asked.equal)
        for pair in found if lacking else ():
            say(standing(pair))
        if not whole or (found and all(pair.conclusion is not Conclusion.UNDECIDED for pair in found)):
            break
    return found


def _check(storage: Storage, names: Sequence[str]) -> None:
    """Refuse searches that do not compare, or that are copies of one another."""
    known = [study for study in studies(storage) if study.sweep is not None]
    different = differences(named(known, names, anyway=True))
    if different:
        raise StudyError(
            f"these searches do not compare: {'; '.join(different[:3])}; --until-decided takes searches that differ in "
            "optimizer and space only"
        )
    check_copies(collect(storage, names, anyway=True, with_curves=False).arms)
