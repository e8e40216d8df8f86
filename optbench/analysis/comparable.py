"""Which searches compare: a family has data, model and batch in common; arms differ in optimizer and space alone."""

from collections.abc import Sequence
from dataclasses import replace

from optbench.analysis.arms import Arm, Source, base_name

FAMILY = ("data.name", "data.sha256", "model.hidden", "model.activation", "batch")
SEEDED = ("seed", "split.sha256")  # what differs between repeats of a search
FREE = ("optimizer", "space.", "trial")  # what may differ between arms


def family(source: Source) -> tuple[str, ...]:
    """What the search has in common with those that it may be compared with."""
    return tuple(str(source.study.fingerprint.get(key)) for key in FAMILY)


def repeated(arms: Sequence[Arm]) -> list[Arm]:
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


def differences(arms: Sequence[Arm]) -> list[str]:
    """In what else the arms differ from the first one; nothing where they compare."""
    found, first = [], arms[0]
    for arm in arms[1:]:
        a, b = first.source.study.fingerprint, arm.source.study.fingerprint
        for key in dict.fromkeys([*a, *b]):
            repeated = key in SEEDED and (first.repeats or arm.repeats)
            if a.get(key) != b.get(key) and not key.startswith(FREE) and not repeated:
                found.append(f"{key} is {_shown(a.get(key))} in {first.name}, {_shown(b.get(key))} in {arm.name}")
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


def _shown(value: object) -> str:
    return "absent" if value is None else repr(value)
