"""What a reader has to know beside the verdicts: what is still to be typed, what was odd, how much luck there is."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import combinations

from optbench.analysis.arms import Arm, Comparison, points, shared_seeds


def remarks(comparison: Comparison, place: str = "") -> list[str]:
    """A sentence for each; `place` is what a command needs beside it to find the database."""
    names = [arm.source.study.name for arm in comparison.arms if not arm.confirmed]
    said = [f"not confirmed: {', '.join(names)}; type {_confirm(names, place)}"] if names else []
    for arm in comparison.arms:
        said += filter(None, (one.source.study.unfinished for one in arm.repeats or [arm]))
        said += [*_confirmation(arm, place), *luck(arm)]
    for a, b in combinations([arm for arm in comparison.arms if arm.confirmed], 2):
        shared = len(shared_seeds(a, b))
        if shared < 2:
            said.append(
                f"no verdict on {a.name} and {b.name}: they share {shared} seeds; expected 2 or more, better 10"
            )
        elif shared < max(len(a.confirmed[0].scores), len(b.confirmed[0].scores)):
            said.append(f"the verdict on {a.name} and {b.name} rests on the {shared} seeds that they share")
    if len(comparison.arms) == 1:
        said.append("a search alone compares with nothing; `optbench sweep` of another optimizer makes a second arm")
    return said + [f"{name} is left out: {why}" for name, why in comparison.left_out.items()]


def luck(arm: Arm) -> Iterator[str]:
    """The spread over the searches of a repeated one, beside the spread over seeds."""
    if not arm.repeats:
        return
    text = f"{arm.name}: the best of its {len(arm.repeats)} searches reach {_range(arm.spread)} % validation"
    if arm.confirmed:
        text += f"; the seeds of one configuration reach {_range(arm.confirmed[0].scores.values())} % test"
    yield text


def _confirmation(arm: Arm, place: str) -> Iterator[str]:
    if not arm.confirmed:
        return
    first = arm.confirmed[0]
    if not first.done:
        yield f"{arm.name}: its confirmation {first.study} is not finished; it has {len(first.scores)} seeds so far"
    if first.epochs != arm.epochs:
        yield f"{arm.name}: searched for {arm.epochs} epochs, confirmed for {first.epochs}"
    if first.trial.number != arm.best[0].number:
        command = _confirm([arm.source.study.name], place)
        yield f"{arm.name}: a better trial was found after its confirmation; type {command}"
    if first.diverged:
        yield f"{arm.name}: {first.diverged} of its {len(first.scores)} seeds diverged, and count as guessing: 10 %"


def _confirm(names: list[str], place: str) -> str:
    return f"`optbench confirm {' '.join(map(shlex.quote, names))}{place}`"


def _range(values: Iterable[float]) -> str:
    found = list(values)
    return f"{points(min(found))} to {points(max(found))}"
