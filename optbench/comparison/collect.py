"""Finds what to compare in a database: chooses studies by their records, then reads the trials of the chosen ones."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from optbench.comparison.arms import Arm, Comparison, base_name, explores, shared_seeds
from optbench.comparison.comparable import Candidate, candidates, differences, family, largest
from optbench.comparison.confirmed import confirmed
from optbench.comparison.copies import check_copies, without_copies
from optbench.comparison.library import Library, read
from optbench.comparison.selection import selection
from optbench.errors import StudyError, nearest
from optbench.scheduler.states import State
from optbench.storage import Storage, StudyRecord, count_evaluations, lacks_best, studies

COPIED = "it has no learning curves, because another program copied it or its trials"


def collect(storage: Storage, names: Sequence[str], anyway: bool = False, with_curves: bool = True) -> Comparison:
    """The comparison of the named searches, or without names of the largest group of searches that compare.

    `anyway` compares searches that differ in more than optimizer and space. Only figures need `with_curves`.
    Raises StudyError if there is nothing to compare. With names, also if one is not a search with a complete trial, or,
    without `anyway`, if the searches do not compare or two confirmed ones share too few seeds.
    """
    known = [study for study in studies(storage) if study.sweep is not None]
    chosen, left_out = (named(known, names, anyway), {}) if names else _choose(known, anyway)
    library, copied = read(storage, chosen, known, with_curves)
    arms, empty = _arms(chosen, library)
    if empty and (names or not arms):
        raise StudyError(f"study {empty[0]!r} cannot be compared: {COPIED}")
    left_out |= dict.fromkeys([*copied, *empty], COPIED)
    if not anyway:
        arms, others = (check_copies(arms), {}) if names else _independent(arms)
        left_out |= others
    different = differences([one for one in chosen if one.name in {arm.name for arm in arms}]) + _lengths(arms)
    if different and not anyway:
        raise StudyError(f"these searches do not compare: {'; '.join(different[:3])}; --anyway compares them")
    if names and not anyway:
        _check_seeds(arms)
    lengths = {c.epochs for arm in arms for c in arm.confirmed} or {arm.epochs for arm in arms}
    return Comparison(
        arms=arms,
        fixed=[s for s in library.tested if s.study.origin is None and s.sweep.epochs in lengths],
        tested=library.tested,
        test_evaluations=count_evaluations(storage),
        differences=different,
        left_out=left_out,
    )


def named(known: Sequence[StudyRecord], names: Sequence[str], anyway: bool) -> list[Candidate]:
    """The searches of these names, among the `known` studies of optbench.

    The name that repeats of a search share stands for all of them. Raises StudyError if one is not a search with a
    complete trial, or, without `anyway`, if they have different data, models or batch sizes.
    """
    every = {study.name: study for study in known}
    found: dict[str, StudyRecord] = {}
    for name in names:
        repeats = [] if name in every else [own for own, study in every.items() if base_name(study) == name]
        if name not in every and not repeats:
            raise StudyError(f"no study {name!r} of optbench; {nearest(name, every)}")
        found |= {own: every[own] for own in repeats or [name]}
    for study in found.values():
        _check_search(study, known)
    chosen = candidates(list(found.values()))
    families = {family(study): name for name, study in found.items()}
    if len(families) > 1 and not anyway:
        raise StudyError(
            f"{' and '.join(families.values())} have different data, models or batch sizes; name studies that share "
            "them, or add --anyway"
        )
    return chosen


def _check_search(study: StudyRecord, known: Sequence[StudyRecord]) -> None:
    """Refuse a study that is not a search, or that has nothing to compare yet."""
    if not study.searches:
        searches = ", ".join(other.name for other in known if other.searches) or "none yet"
        raise StudyError(
            f"{study.name!r} is a list of fixed settings, not a search; compare takes searches (here: {searches}). "
            f"`optbench show {shlex.quote(study.name)}` lists its settings"
        )
    if not study.counts[State.COMPLETE]:
        raise lacks_best(study)
    if not study.epochs:
        raise StudyError(f"study {study.name!r} cannot be compared: {COPIED}")


def _choose(known: Sequence[StudyRecord], anyway: bool) -> tuple[list[Candidate], dict[str, str]]:
    """The largest group that compares, and the reason why each other search is left out.

    With `anyway` it is every search of that group's family. Searches by independent draws are compared only if there is
    no other search, because they are made for budget curves.
    """
    complete = [study for study in known if study.searches and study.counts[State.COMPLETE]]
    left_out = {study.name: COPIED for study in complete if not study.epochs}
    searches = [study for study in complete if study.epochs]
    if not searches:
        copied = f" ({', '.join(left_out)}: {COPIED})" if left_out else ""
        raise StudyError(f"no search with a complete trial to compare{copied}; `optbench sweep adadelta` makes one")
    every = candidates([study for study in searches if not explores(study)] or searches)
    chosen = largest(every)
    if anyway:
        chosen = [one for one in every if family(one.studies[0]) == family(chosen[0].studies[0])]
    others = [one for one in every if one not in chosen]
    return chosen, left_out | {one.name: differences([chosen[0], one])[0] for one in others}


def _arms(chosen: Sequence[Candidate], library: Library) -> tuple[list[Arm], list[str]]:
    """An arm for each search, and the names of the searches whose trials turn out to have no curves."""
    arms, empty = [], []
    for candidate in chosen:
        own = []
        for study in candidate.studies:
            source = library.searches[study.study_id]
            configurations = confirmed(study, library.tested, source.trials)
            own.append(Arm(source, configurations, library.explored.get(study.study_id)))
        whole = [arm for arm in own if arm.best]
        if len(whole) < len(own):
            empty.append(candidate.name)
        elif len(own) == 1:
            arms.append(own[0])
        else:
            arms.append(
                replace(
                    max(own, key=lambda arm: (bool(arm.confirmed), selection(arm.source.study, arm.best[0]).accuracy)),
                    repeats=own,
                )
            )
    return arms, empty


def _independent(arms: Sequence[Arm]) -> tuple[list[Arm], dict[str, str]]:
    """The arms that are no copies and were confirmed for one number of epochs, and why the others are left out."""
    alike, others = _of_one_length(arms)
    different, copies = without_copies(alike)
    return different, others | copies


def _of_one_length(arms: Sequence[Arm]) -> tuple[list[Arm], dict[str, str]]:
    """The arms that were confirmed for the most common number of epochs or not at all, and why others are left out."""
    lengths = Counter(arm.confirmed[0].epochs for arm in arms if arm.confirmed)
    if len(lengths) < 2:
        return list(arms), {}
    usual = lengths.most_common(1)[0][0]
    other = {arm.name: arm.confirmed[0].epochs for arm in arms if arm.confirmed and arm.confirmed[0].epochs != usual}
    reasons = {name: f"it was confirmed for {epochs} epochs, the others for {usual}" for name, epochs in other.items()}
    return [arm for arm in arms if arm.name not in other], reasons


def _lengths(arms: Sequence[Arm]) -> list[str]:
    lengths = sorted({arm.confirmed[0].epochs for arm in arms if arm.confirmed})
    return [f"they were confirmed for {' and '.join(map(str, lengths))} epochs"] if len(lengths) > 1 else []


def _check_seeds(arms: Sequence[Arm]) -> None:
    """Refuse named arms that were confirmed on too few shared seeds for a verdict."""
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        shared = len(shared_seeds(a, b))
        if shared < 2:
            typed = " ".join(shlex.quote(arm.source.study.name) for arm in (a, b))
            raise StudyError(
                f"{a.name} and {b.name} share {shared} seeds, too few for a verdict; expected 2 or more: type "
                f"`optbench confirm {typed}`, or add --anyway to compare them without a verdict"
            )
