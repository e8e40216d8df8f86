"""Finds what is to be compared in a database, and refuses what does not compare."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from optbench.analysis.arms import Arm, Comparison, Configuration, Source, base_name
from optbench.confirm import label_of
from optbench.errors import StudyError, nearest
from optbench.storage import Storage, StudyRecord, TrialRecord, best_trials, count_openings, curves, studies, trials

FAMILY = ("data.name", "data.sha256", "model.hidden", "model.activation", "batch")
SEEDED = ("seed", "split.sha256")  # what differs between repeats of a search
ENDED = ("complete", "diverged")  # a trial that was trained to its end: divergence is a result
FREE = ("optimizer", "space.", "trial")  # what may differ between arms


def collect(storage: Storage, names: Sequence[str], anyway: bool = False) -> Comparison:
    """What is to be compared: the named searches, or every one there is. Raises StudyError.

    Refuses arms of several families, or whose fingerprints differ in anything but optimizer and space (unless
    `anyway`), and studies that have no complete trial.
    """
    every = {study.name: study for study in studies(storage) if study.definition is not None}
    names = [own for name in names for own in ([name] if name in every else _repeats(name, every) or [name])]
    for name in names:
        if name not in every:
            raise StudyError(f"no study {name!r} of optbench; {nearest(name, every)}")
        if not every[name].searches:
            raise StudyError(f"study {name!r} selects nothing; expected searches, as adadelta and adam")
    sources = [Source(s, trials(storage, s.study_id), curves(storage, s.study_id)) for s in every.values()]
    searches = [source for source in sources if source.study.searches]
    chosen = [s for s in searches if s.study.name in names] or [s for s in searches if not s.explores] or searches
    if not names:
        chosen = [source for source in chosen if best_trials(source.trials)]
    for source in chosen:
        if not best_trials(source.trials):
            raise StudyError(f"study {source.study.name!r} has no complete trial yet; carry on with `optbench sweep`")
    if not chosen:
        raise StudyError("no search with a complete trial to compare; `optbench sweep adadelta` makes one")
    families = {_family(source): source.study.name for source in chosen}
    if len(families) > 1 and names:
        raise StudyError(
            f"{' and '.join(families.values())} have other data, models or batches; name studies of one kind"
        )
    newest = _family(max(chosen, key=lambda source: source.study.changed or datetime.min))
    left_out = [source.study.name for source in chosen if _family(source) != newest]
    chosen = [source for source in chosen if _family(source) == newest]
    related = [source for source in sources if _family(source) == newest]
    arms = _repeated([_arm(source, related) for source in chosen])
    differences = _differences(arms)
    if differences and not anyway:
        raise StudyError(f"the arms do not compare: {'; '.join(differences[:3])}; --anyway compares them all the same")
    lengths = {c.epochs for arm in arms for c in arm.confirmed} or {arm.epochs for arm in arms}
    fixed = [
        s
        for s in related
        if not s.study.searches and s.study.origin is None and s.study.metric == "test accuracy"
        and s.definition["epochs"] in lengths
    ]  # fmt: skip
    return Comparison(arms, fixed, count_openings(storage), differences, left_out)


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
                length, lines = int(source.definition["epochs"]), [source.curves.get(t.trial_id, []) for t in own]
                diverged = sum(t.state == "diverged" for t in own)
                found[trial.number] = Configuration(trial, source.study.name, length, scores, lines, diverged)
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


def _repeated(arms: Sequence[Arm]) -> list[Arm]:
    """One arm for the studies name/1, name/2, ...: the best of them by validation, and the best value of each."""
    groups: dict[tuple[str, str], list[Arm]] = {}
    for arm in arms:
        study = arm.source.study
        rest = {key: value for key, value in study.fingerprint.items() if key not in SEEDED}
        base = base_name(study.name)
        groups.setdefault((base, str(rest) if base != study.name else ""), []).append(arm)
    found = []
    for group in groups.values():
        if len(group) == 1:
            found.append(group[0])
        else:
            first = max(group, key=lambda arm: (bool(arm.confirmed), arm.best[0].value or 0))
            found.append(replace(first, repeats=group))
    return found


def _repeats(name: str, every: Iterable[str]) -> list[str]:
    """The studies name/1, name/2, ... of a search that was repeated."""
    return [other for other in every if other != name and base_name(other) == name]


def _same(one: TrialRecord, other: TrialRecord) -> bool:
    """A study that was deleted and made again has other trials of the same numbers."""
    return (one.optimizer, dict(one.hyperparameters)) == (other.optimizer, dict(other.hyperparameters))


def _family(source: Source) -> tuple[str, ...]:
    return tuple(str(source.study.fingerprint.get(key)) for key in FAMILY)


def _differences(arms: Sequence[Arm]) -> list[str]:
    found, first = [], arms[0]
    for arm in arms[1:]:
        a, b = first.source.study.fingerprint, arm.source.study.fingerprint
        for key in dict.fromkeys([*a, *b]):
            repeated = key in SEEDED and (first.repeats or arm.repeats)
            if a.get(key) != b.get(key) and not key.startswith(FREE) and not repeated:
                found.append(f"{key} is {a.get(key)!r} in {first.name}, {b.get(key)!r} in {arm.name}")
        if len(first.repeats) != len(arm.repeats):
            found.append(
                f"{first.name} was searched {len(first.repeats) or 1} times, {arm.name} {len(arm.repeats) or 1}"
            )
        elif first.trials != arm.trials:
            found.append(" and ".join(f"{one.name} has {one.trials} finished trials" for one in (first, arm)))
    lengths = sorted({c.epochs for arm in arms for c in arm.confirmed[:1]})
    if len(lengths) > 1:
        found.append(f"the arms were confirmed for {' and '.join(map(str, lengths))} epochs")
    return found
