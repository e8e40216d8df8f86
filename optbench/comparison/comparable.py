"""Which searches compare: those of one data set, model and batch size that differ only in optimizer and space.

Everything here is decided from the records of studies, before a single trial is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from optbench.comparison.arms import base_name
from optbench.definition.plain import flat
from optbench.storage import StudyRecord

SEEDED = ("seed", "split.sha256")
"""The keys that differ between the repeats of a search."""
FREE = ("name", "optimizer", "trials", "lanes", "space", "trial", "known", "finals")
"""The keys of a definition that may differ between arms."""
SHOWN = 12  # characters of a value in a message


@dataclass(frozen=True)
class Candidate:
    """A search that may become an arm, known by the records of its studies: one, or several where it was repeated."""

    studies: tuple[StudyRecord, ...]

    @property
    def name(self) -> str:
        """The study's name; without its number where the search was repeated."""
        return base_name(self.studies[0]) if self.repeated else self.studies[0].name

    @property
    def repeated(self) -> bool:
        """Whether there are several studies."""
        return len(self.studies) > 1

    @property
    def finished(self) -> int:
        """How many trials were finished, in all repeats."""
        return sum(study.finished for study in self.studies)

    @property
    def changed(self) -> datetime:
        """When a trial of it started or ended last."""
        return max(study.changed or datetime.min for study in self.studies)

    @property
    def kind(self) -> str:
        """A text that all searches that compare with this one share."""
        held = facts(self.studies[0])
        fixed = _unseeded(held) if self.repeated else held
        return repr((len(self.studies), self.finished, sorted(fixed.items())))


def facts(study: StudyRecord) -> dict[str, str]:
    """What a study's trials depend on and what must not differ between arms: each value as text, by dotted key."""
    assert study.sweep is not None, "only optbench's studies are compared"
    definition = study.sweep.definition() | {"data": study.sweep.data.identity, "model": study.sweep.model.identity()}
    held = {key: value for key, value in definition.items() if key not in FREE}
    marks = {
        key: value
        for key, value in study.fingerprint.items()
        if key.endswith((".sha256", ".major", ".scale", ".stratify"))
    }
    return {key: _as_text(value) for key, value in (flat(held) | marks).items() if value is not None}


def _as_text(value: object) -> str:
    """The value as text; numbers that are equal have equal texts."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def family(study: StudyRecord) -> str:
    """A text that two studies share if they have the same data, model and batch size."""
    sweep = study.sweep
    assert sweep is not None, "only optbench's studies are compared"
    data = study.fingerprint.get("data.sha256", sweep.data.name), study.fingerprint.get("data.scale")
    return repr((*data, sweep.model.identity(), sweep.batch))


def candidates(searches: Sequence[StudyRecord]) -> list[Candidate]:
    """The searches as candidates. The repeats of a search, which differ only in their seeds, are one candidate."""
    groups: dict[str, list[StudyRecord]] = {}
    for study in searches:
        base = base_name(study)
        groups.setdefault(repr((base, _search(study) if base != study.name else "")), []).append(study)
    return [Candidate(tuple(group)) for group in groups.values()]


def largest(found: Sequence[Candidate]) -> list[Candidate]:
    """The largest group of searches that compare with one another; among equally large ones, the one changed last."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in found:
        groups.setdefault(candidate.kind, []).append(candidate)
    return max(groups.values(), key=lambda group: (len(group), max(one.changed for one in group)))


def differences(found: Sequence[Candidate]) -> list[str]:
    """How the searches differ from the first one, apart from optimizer and space. Empty if all of them compare."""
    return [text for other in found[1:] for text in _between(found[0], other)]


def _between(first: Candidate, other: Candidate) -> list[str]:
    a, b = facts(first.studies[0]), facts(other.studies[0])
    seeded = not (first.repeated or other.repeated)
    found = []
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) == b.get(key) or (key in SEEDED and not seeded) or (key == "split.sha256" and _explained(a, b)):
            continue
        why = " (hence another split, other weights and batches)" if key == "seed" else ""
        found.append(f"{key} is {_shown(a.get(key))} in {first.name}, {_shown(b.get(key))} in {other.name}{why}")
    if len(first.studies) != len(other.studies):
        found.append(f"{first.name} was searched {_times(first)}, {other.name} {_times(other)}")
    elif first.finished != other.finished:
        found.append(f"{first.name} has {first.finished} finished trials and {other.name} has {other.finished}")
    return found


def _explained(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    """Whether something that decides the split differs, so that the split's own difference adds nothing."""
    keys = ("seed", "data.name", "data.sha256", "data.validation", "data.stratify")
    return any(a.get(key) != b.get(key) for key in keys)


def _search(study: StudyRecord) -> str:
    """A text that all repeats of a search share."""
    assert study.sweep is not None, "only optbench's studies are compared"
    sweep = study.sweep
    return repr((sorted(_unseeded(facts(study)).items()), sweep.optimizer, sweep.space, sweep.fixed))


def _unseeded(held: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in held.items() if key not in SEEDED}


def _times(candidate: Candidate) -> str:
    count = len(candidate.studies)
    return "once" if count == 1 else f"{count} times"


def _shown(value: str | None) -> str:
    if value is None:
        return "absent"
    return f"{value[:SHOWN]}..." if len(value) > 2 * SHOWN else value
