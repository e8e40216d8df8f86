"""Makes the finals of a search as a study of their own, and lets them go on from round to round.

Finals are a list of fixed trials with validation examples that grows. When a round is finished, a worker appends the
next one; of several workers one does, and the others find it.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optbench.data.dataset import Facts
from optbench.definition.known import known_trials
from optbench.definition.rounds import MOST, fitting, least_budget, rounds, smallest, too_small, trainings
from optbench.definition.sweep import Finals, NoPruner, Sweep, Tpe
from optbench.errors import StudyError, counted
from optbench.scheduler.finals import Candidate, FinalsPlan, chosen, enters, first_round, next_round
from optbench.scheduler.states import Role, State
from optbench.storage import (
    COUNTED,
    Storage,
    StudyRecord,
    TrialRecord,
    append_fixed,
    derived_name,
    distinct,
    find_study,
    trials,
)
from optbench.storage import studies as every_study
from optbench.storage.about import About, describe
from optbench.worker.creation import Relations, free_name, make_study


def open_finals(
    storage: Storage, search: StudyRecord, finals: Finals, digests: Mapping[str, str], facts: Facts | None = None
) -> StudyRecord:
    """The study of the search's finals: the one that took all of its trials into account, or a new one.

    Of several workers that make them at the same time, one does: all of them choose the same name, because it is free
    in the list of studies in which `search` had no finals yet.

    Raises StudyError if the finals that were asked for cannot be, in a line that says what would fit.
    """
    listed = every_study(storage)
    search = next((study for study in listed if study.study_id == search.study_id), search)
    if begun := current_finals(search, listed):
        return begun
    sweep = search.sweep
    found, plan = plan_finals(search, trials(storage, search.study_id), finals)
    assert sweep is not None, "plan_finals takes searches only"
    own = replace(
        sweep,
        name=derived_name(search.name, "finals"),
        data=replace(sweep.data, resplit=finals.resplit),
        trials=plan.total,
        sampler=Tpe(),
        pruner=NoPruner(),
        optimizer=None,
        space={},
        fixed=first_round(found, plan.rounds[0].seeds, sweep.seed),
        lanes=None,
        known=False,
        start=None,
        finals=None,
    )
    name = free_name(own.name, {study.name for study in listed})
    relations = Relations(role=Role.FINALS, origin=search.name, plan=plan)
    make_study(storage, own, name, digests, relations, facts)
    made = find_study(storage, name)
    if made.role is not Role.FINALS or not made.derives_from(search):
        raise StudyError(f"there is a study {name!r} already, which is no finals of {search.name!r}; rename it first")
    describe(storage, made.study_id, About(owner=search.about.owner, tags=search.about.tags))
    return made


def current_finals(search: StudyRecord, listed: Sequence[StudyRecord]) -> StudyRecord | None:
    """The finals that took all of the search's trials into account; None if there are none among the listed studies."""
    for study in reversed(listed):
        if study.plan is not None and study.derives_from(search) and study.plan.searched >= search.finished:
            return study
    return None


def advance(storage: Storage, name: str) -> Sweep | None:
    """The sweep of finals, after appending the next round if those before are finished; None for any other study."""
    study = find_study(storage, name)
    if study.plan is None or study.sweep is None or study.facts is None:
        return None
    own = trials(storage, study.study_id)
    chance = study.facts.chance
    values = {
        trial.slot: chance if trial.accuracy is None else trial.accuracy
        for trial in own
        if trial.slot is not None and trial.state in COUNTED
    }
    coming = next_round(study.plan, study.sweep.fixed, values, study.sweep.seed)
    if coming:
        append_fixed(storage, study.study_id, len(study.sweep.fixed), coming)
    return find_study(storage, name).sweep


def plan_finals(
    search: StudyRecord, records: Sequence[TrialRecord], finals: Finals
) -> tuple[Sequence[Candidate], FinalsPlan]:
    """The configurations that enter the finals of a search, best single run first, and the rounds.

    Raises StudyError if the finals that were asked for cannot be, in a line that says what would fit.
    """
    sweep = search.sweep
    if sweep is None or not sweep.searches:
        raise StudyError(f"{search.name!r} is not a search, and finals take one: `optbench studies` lists the searches")
    found = candidates(sweep, records)
    total = search.total or sweep.trials
    count = _count(search, total, found, finals)
    return chosen(found, count), FinalsPlan(rounds(count, trainings(finals.budget, total)), search.finished)


def candidates(sweep: Sweep, records: Sequence[TrialRecord]) -> list[Candidate]:
    """The different configurations of a search that may enter its finals; diverged ones never do.

    A configuration that several trials have is known by the best of them.
    """
    late = [
        trial
        for trial in records
        if trial.hyperparameters
        and trial.state in (State.COMPLETE, State.PRUNED)
        and enters(trial.state is State.COMPLETE, trial.epochs, sweep.epochs)
    ]
    late.sort(key=lambda trial: (-(trial.accuracy or 0.0), trial.number))
    optimizer = str(sweep.optimizer)
    known = [sweep.hparams(optimizer, trial.params) for trial in known_trials(optimizer, sweep.space, sweep.batch)]
    return [
        Candidate(
            trial=trial.number,
            optimizer=trial.optimizer,
            hparams=trial.hyperparameters,
            value=trial.accuracy or 0.0,
            known=dict(trial.hyperparameters) in known,
        )
        for trial in distinct(late)
    ]


def _count(search: StudyRecord, total: int, found: Sequence[Candidate], finals: Finals) -> int:
    """How many candidates enter the finals of a search of `total` trials. Raises StudyError."""
    name, budget, known = search.name, trainings(finals.budget, total), sum(one.known for one in found)
    if len(found) < 2:
        raise StudyError(
            f"{name!r} has {counted(len(found), 'configuration')} for finals, which need 2; a configuration enters if "
            "its trial was trained for at least a third of the epochs and did not diverge"
        )
    if finals.candidates is not None and finals.candidates > len(found):
        raise StudyError(
            f"candidates = {finals.candidates}, but {name!r} has {len(found)} different configurations that were "
            f"trained for at least a third of the epochs; expected 2 to {len(found)}"
        )
    if finals.candidates is not None and known >= finals.candidates and known < len(found):
        raise StudyError(
            f"candidates = {finals.candidates}, but {counted(known, 'known setting')} of {name!r} always take part; "
            f"expected {known + 1} or more, so that the best of the search takes part, too"
        )
    fewest = finals.candidates or min(max(2, known + 1), len(found), MOST)
    count = finals.candidates or fitting(len(found), budget)
    if count < fewest or not rounds(count, budget):
        least = least_budget(total, fewest)
        typed = f": `optbench finals {shlex.quote(name)} --budget {least:g}`" if least <= 1 else ""
        raise StudyError(f"finals of {name!r}: {too_small(finals.budget, total, fewest, smallest(fewest))}{typed}")
    return count
