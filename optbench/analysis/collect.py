"""Finds what is to be compared in a database, and refuses what does not compare (see comparable.py)."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations

from optbench.analysis.arms import Arm, Comparison, Configuration, Source, base_name, shared_seeds
from optbench.analysis.comparable import differences, family, repeated
from optbench.confirm import label_of
from optbench.errors import StudyError, nearest
from optbench.storage import (
    Storage,
    StudyRecord,
    TrialRecord,
    best_trials,
    count_evaluations,
    curves,
    lacks_best,
    studies,
    trials,
)

ENDED = ("complete", "diverged")  # a trial that was trained to its end: divergence is a result


def collect(storage: Storage, names: Sequence[str], anyway: bool = False) -> Comparison:
    """What is to be compared: the named searches, or all that compare with the newest one. Raises StudyError.

    Refuses named arms of several families, whose fingerprints differ in anything but optimizer and space, or that share
    too few seeds (both unless `anyway`), and studies that have no complete trial.
    """
    sources = [
        Source(s, trials(storage, s.study_id), curves(storage, s.study_id))
        for s in studies(storage)
        if s.definition is not None
    ]
    chosen = _named(sources, names, anyway) if names else _searches(sources)
    newest = max(chosen, key=lambda source: source.study.changed or datetime.min)
    families = {family(source) for source in chosen} if names else {family(newest)}
    related = [source for source in sources if family(source) in families]
    arms = repeated([_arm(source, related) for source in chosen if source in related])
    left_out = {source.study.name: "other data, model or batch" for source in chosen if source not in related}
    if not names and not anyway:
        arms, others = _comparable(arms, newest)
        left_out |= others
    different = differences(arms)
    if different and not anyway:
        raise StudyError(f"the arms do not compare: {'; '.join(different[:3])}; --anyway compares them all the same")
    if names and not anyway:
        _check_seeds(arms)
    lengths = {c.epochs for arm in arms for c in arm.confirmed} or {arm.epochs for arm in arms}
    fixed = [
        s
        for s in related
        if not s.study.searches and s.study.origin is None and s.study.metric == "test accuracy"
        and s.definition["epochs"] in lengths
    ]  # fmt: skip
    return Comparison(arms, fixed, count_evaluations(storage), different, left_out)


def _named(sources: Sequence[Source], names: Sequence[str], anyway: bool) -> list[Source]:
    """The searches of these names; a repeated one stands for its repeats."""
    every = {source.study.name: source for source in sources}
    found: dict[str, Source] = {}
    for name in names:
        repeats = [] if name in every else [other for other in every if base_name(other) == name]
        if name not in every and not repeats:
            raise StudyError(f"no study {name!r} of optbench; {nearest(name, every)}")
        found |= {own: every[own] for own in repeats or [name]}
    for name, source in found.items():
        if not source.study.searches:
            raise StudyError(f"study {name!r} selects nothing; expected searches, as adadelta and adam")
        if not best_trials(source.trials):
            raise lacks_best(source.study)
    families = {family(source): name for name, source in found.items()}
    if len(families) > 1 and not anyway:
        raise StudyError(
            f"{' and '.join(families.values())} have other data, models or batches; name studies of one kind, or "
            "add --anyway"
        )
    return list(found.values())


def _searches(sources: Sequence[Source]) -> list[Source]:
    """Every search with a complete trial; those that only explore where there is no other."""
    found = [source for source in sources if source.study.searches and best_trials(source.trials)]
    if not found:
        raise StudyError("no search with a complete trial to compare; `optbench sweep adadelta` makes one")
    return [source for source in found if not source.explores] or found


def _comparable(arms: Sequence[Arm], newest: Source) -> tuple[list[Arm], dict[str, str]]:
    """The arms that compare with that of the newest search, if any does, and why each of the others does not."""
    first = next(arm for arm in arms if newest in [one.source for one in arm.repeats or [arm]])
    reasons = {arm.name: differences([first, arm]) for arm in arms if arm is not first}
    kept = [arm for arm in arms if not reasons.get(arm.name)]
    if len(kept) == 1:
        return list(arms), {}
    return kept, {name: found[0] for name, found in reasons.items() if found}


def _check_seeds(arms: Sequence[Arm]) -> None:
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        shared = len(shared_seeds(a, b))
        if shared < 2:
            typed = " ".join(shlex.quote(arm.source.study.name) for arm in (a, b))
            raise StudyError(
                f"{a.name} and {b.name} share {shared} seeds, too few for a verdict; expected 2 or more: type "
                f"`optbench confirm {typed}`, or --anyway to do without one"
            )


def confirmations(storage: Storage, study: StudyRecord) -> list[Configuration]:
    """The confirmed configurations of one study, best by validation first."""
    others = [other for other in studies(storage) if other.origin == study.name]
    sources = [Source(s, trials(storage, s.study_id), curves(storage, s.study_id)) for s in others]
    return confirmed(study, sources, trials(storage, study.study_id))


def confirmed(study: StudyRecord, sources: Sequence[Source], records: Sequence[TrialRecord]) -> list[Configuration]:
    """The study's confirmed configurations, best by validation first, each from its best confirmation: one that is
    done before one that is not, of the search's epochs before one of others, more seeds before fewer, then the latest.
    A seed that diverged counts: with the accuracy of guessing.
    """
    found: dict[int, Configuration] = {}
    by_number = {label_of(trial.number): trial for trial in records}
    own_sources = [source for source in sources if source.study.origin == study.name]
    for source in sorted(own_sources, key=lambda other: _worth(study, other)):
        for label, trial in by_number.items():
            own = [t for t in source.trials if t.label == label and t.state in ENDED and _same(t, trial)]
            scores = {t.seed: t.value for t in own if t.seed is not None and t.value is not None}
            if scores:
                lines, diverged = [source.curves.get(t.trial_id, []) for t in own], [t.state == "diverged" for t in own]
                found[trial.number] = Configuration(
                    trial, source.study.name, int(source.definition["epochs"]), source.study.state == "done", scores,
                    lines, sum(diverged),
                )  # fmt: skip
    return sorted(
        found.values(), key=lambda configuration: (-(configuration.trial.value or 0), configuration.trial.number)
    )


def _worth(study: StudyRecord, source: Source) -> tuple[bool, bool, int, int]:
    """What a confirmation of the study is worth beside others of it."""
    same_length = source.definition["epochs"] == (study.definition or {})["epochs"]
    seeds = len({trial.seed for trial in source.trials if trial.state in ENDED})
    return source.study.state == "done", same_length, seeds, source.study.study_id


def _arm(source: Source, related: Sequence[Source]) -> Arm:
    space = source.definition["space"]
    explored = next(
        (
            other
            for other in related
            if other.study.searches and other.explores and other.definition["space"] == space
            and other.study.optimizer == source.study.optimizer and other.study.state == "done"
            and other.definition["epochs"] == source.definition["epochs"]
        ),
        None,
    )  # fmt: skip
    return Arm(source, confirmed(source.study, related, source.trials), explored)


def _same(one: TrialRecord, other: TrialRecord) -> bool:
    """A study that was deleted and made again has other trials of the same numbers."""
    return (one.optimizer, dict(one.hyperparameters)) == (other.optimizer, dict(other.hyperparameters))
