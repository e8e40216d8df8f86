"""Remarks on a comparison: what to type next, what was unusual, and what the intervals leave out."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from optbench.comparison.arms import Arm, Comparison, is_default, is_paper, percent, shared_seeds
from optbench.comparison.settings import measured
from optbench.definition.sweep import Finals
from optbench.errors import StudyError, counted
from optbench.statistics.seeds import sampling_interval
from optbench.worker.finals import plan_finals

MOST = 2  # times as many seeds of finals in one arm as in another still count as the same selection


def remarks(comparison: Comparison, place: str = "", on_page: bool = False) -> list[str]:
    """A sentence for each remark; `place` is the option that suggested commands need to find the database.

    `on_page` leaves out the advice to make the page.
    """
    arms = comparison.arms
    names = [arm.source.study.name for arm in arms if not arm.confirmed]
    found = [f"not confirmed: {', '.join(names)}; type {_confirm(names, place)}"] if names else []
    found += _selected(arms, place)
    for arm in arms:
        found += filter(None, (one.source.study.unfinished for one in arm.repeats or [arm]))
        found += [*_confirmation(arm, place), *between_searches(arm)]
    for a, b in combinations([arm for arm in arms if arm.confirmed], 2):
        found += _seeds(a, b, place)
    if len(arms) == 1:
        found.append("one search has nothing to be compared with; `optbench sweep` of another optimizer adds an arm")
    elif not names and not on_page:
        found += _next(comparison, place)
    for arm in arms:
        found += [*_without_defaults(comparison, arm, place), *_is_known(arm)]
    found += _left_out_of_intervals(comparison)
    return found + [f"{name} is left out: {why}" for name, why in comparison.left_out.items()]


def between_searches(arm: Arm) -> Iterator[str]:
    """How far apart the repeats of a search are (between-search variance), compared with the spread over seeds."""
    if not arm.repeats:
        return
    text = f"{arm.name}: the best trials of its {len(arm.repeats)} searches reach {_range(arm.spread)} % validation"
    if arm.confirmed:
        text += f"; the seeds of one configuration reach {_range(arm.confirmed[0].scores.values())} % test"
    yield text


def _selected(arms: Sequence[Arm], place: str) -> Iterator[str]:
    """A warning where arms were selected differently: what compares then is the selection as much as the optimizer."""
    by_one_run = [arm for arm in arms if arm.selection.finalist is None]
    others = [arm.name for arm in arms if arm.selection.finalist is not None]
    names = ", ".join(arm.name for arm in by_one_run)
    if by_one_run and others:
        finals = f"{', '.join(others)} in finals over several seeds"
        remedies = "; ".join(_remedy(arm, place) for arm in by_one_run)
        yield f"not selected alike: {finals}, {names} by one run; {remedies}"
    seeds = {arm.name: arm.selection.seeds for arm in arms}
    if seeds and not by_one_run and max(seeds.values()) > MOST * min(seeds.values()):
        listed = ", ".join(f"{name} over {counted(count, 'seed')}" for name, count in seeds.items())
        yield f"not selected alike: finals chose the configurations of {listed}; give the searches equal [finals]"


def _remedy(arm: Arm, place: str) -> str:
    """The command that gives the search finals, or why it cannot have any."""
    search = arm.source.study
    if search.finals is not None and search.finals.done:
        return f"type `optbench confirm {shlex.quote(search.name)}{place}`, which trains the winner of its finals"
    try:
        plan_finals(search, arm.source.trials, arm.source.sweep.finals or Finals())
    except StudyError as problem:
        return str(problem)
    return f"type `optbench finals {shlex.quote(search.name)}{place}`"


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
        best = f"its best trial, {arm.best[0].number}, is not confirmed"
        yield f"{arm.name}: {best}, so the verdict rests on trial {first.trial.number}; type {command}"
    if first.diverged and arm.source.study.facts is not None:
        yield (
            f"{arm.name}: {first.diverged} of its {len(first.scores)} seeds diverged, and count with the accuracy of "
            f"guessing, {100 * arm.source.study.facts.chance:.3g} %"
        )


def _without_defaults(comparison: Comparison, arm: Arm, place: str) -> Iterator[str]:
    """A remark on a confirmed arm whose seeds Keras' defaults were not trained on, so that its gain is not known."""
    if not arm.confirmed or is_default(arm.trial):
        return
    known = measured(comparison, arm, is_default)
    if len(known.keys() & arm.confirmed[0].scores.keys()) < 2:
        command = _confirm([arm.source.study.name], place)
        why = "because they share fewer than 2 seeds"
        yield f"{arm.name}: its gain over Keras' defaults is not known, {why}; type {command}"


def _is_known(arm: Arm) -> Iterator[str]:
    """A remark on an arm whose best configuration is a known setting, so that nothing was gained over that."""
    if arm.confirmed and (is_default(arm.trial) or is_paper(arm.trial)):
        which = "Keras' defaults" if is_default(arm.trial) else "the paper's setting"
        yield f"{arm.name}: its best configuration is {which}"


def _seeds(a: Arm, b: Arm, place: str) -> Iterator[str]:
    """A remark on a pair that does not share all of its seeds."""
    shared = len(shared_seeds(a, b))
    if shared < 2:
        command = _confirm([a.source.study.name, b.source.study.name], place)
        yield f"no verdict on {a.name} and {b.name}: they share {counted(shared, 'seed')}, fewer than 2; type {command}"
    elif shared < max(len(a.confirmed[0].scores), len(b.confirmed[0].scores)):
        yield f"the verdict on {a.name} and {b.name} rests on the {shared} seeds that they share"


def _left_out_of_intervals(comparison: Comparison) -> Iterator[str]:
    """What the intervals do not cover, with the interval of the test set where its size is known."""
    best = max((_mean(arm) for arm in comparison.arms if arm.confirmed), default=None)
    if best is None:
        return
    data = comparison.arms[0].source.sweep.data
    confirmations = {arm.confirmed[0].study for arm in comparison.arms if arm.confirmed}
    facts = [source.study.facts for source in comparison.tested if source.study.name in confirmations]
    size = next((one.test for one in facts if one is not None and one.test), None)
    known = ""
    if size is not None:
        low, high = (100 * end for end in sampling_interval(best, size))
        known = f" (95 % interval {low:.2f} to {high:.2f} % for {percent(best)} % of {size:,} test examples)"
    yield (
        f"the intervals cover seeds only: not the finite test set{known}, nor the chance in the search itself "
        "(Bouthillier et al. 2021; `optbench sweep --repeat` measures it)"
    )
    if any(arm.confirmed[0].until_decided for arm in comparison.arms if arm.confirmed):
        yield (
            "an interval that holds at every look assumes that the differences of the seeds are symmetric around their "
            "mean (`optbench docs statistics`)"
        )
    if data.file is None and data.name == "digits":
        yield (
            "the test images of digits were written by other people than the training and validation images, so test "
            "accuracies are several percentage points lower"
        )


def _next(comparison: Comparison, place: str) -> Iterator[str]:
    """What to type once everything is confirmed."""
    names = " ".join(shlex.quote(arm.name) for arm in comparison.arms)
    yield f"for figures and tables type `optbench report {names}{place}`"


def _mean(arm: Arm) -> float:
    scores = arm.confirmed[0].scores.values()
    return sum(scores) / len(scores)


def _confirm(names: list[str], place: str) -> str:
    return f"`optbench confirm {' '.join(map(shlex.quote, names))}{place}`"


def _range(values: Iterable[float]) -> str:
    found = list(values)
    return f"{percent(min(found))} to {percent(max(found))}"
