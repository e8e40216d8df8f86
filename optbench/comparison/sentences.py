"""A verdict in words, with its numbers and what to type next."""

import shlex
from typing import TYPE_CHECKING

from optbench.comparison.conclusions import Conclusion, Statement, Test
from optbench.comparison.rows import interval
from optbench.defaults import EQUAL
from optbench.statistics.power import MAX_SEEDS
from optbench.statistics.pvalues import min_p
from optbench.statistics.sequential import ConfidenceSequence

if TYPE_CHECKING:
    from optbench.comparison.verdict import Pair


def sentence(pair: "Pair") -> str:
    """The verdict on a pair with its numbers: means, difference, interval, kind of statement, conclusion."""
    (x, y), d = pair.means, pair.difference
    head = f"{pair.a.name} {interval(x)} %, {pair.b.name} {interval(y)} %, difference {100 * d.mean:+.2f}"
    if not pair.varies:
        return (
            f"{head} percentage points on each of {d.n} paired seeds: undecided: all differences are the same, so "
            "nothing is known of their spread; a larger test set may tell the two apart"
        )
    if pair.statement is Statement.EVERY_LOOK:
        return f"{head} {_at_every_look(pair)}"
    return f"{head} {bounds(d.low, d.high)} percentage points over {d.n} paired seeds (fixed n): {_fixed(pair)}"


def standing(pair: "Pair") -> str:
    """Where a pair stands after a round of seeds, in a short line."""
    found, margin = pair.sequence, f"{pair.margin:g} percentage points"
    assert found is not None, "rounds are judged by a confidence sequence"
    words = {
        Conclusion.BETTER: f"{pair.winner.name if pair.winner else ''} is better",
        Conclusion.EQUAL: f"equal within {margin}",
        Conclusion.BELOW_MARGIN: f"different, but within the {margin} that count as equal",
        Conclusion.UNDECIDED: "undecided",
    }
    return (
        f"{found.n} seeds: {pair.a.name} - {pair.b.name} = {100 * found.mean:+.2f} {at_every_look(found)} percentage "
        f"points: {words[pair.conclusion]}"
    )


def at_every_look(found: ConfidenceSequence) -> str:
    """The interval of a confidence sequence in percentage points."""
    return bounds(found.low, found.high) if found.high - found.low < 2 else "[no interval yet]"


def bounds(low: float, high: float) -> str:
    """An interval of differences in percentage points."""
    return f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def command(pair: "Pair", max_seeds: int | None = None) -> str:
    """The command that trains more seeds until the pair is decided."""
    names = " ".join(shlex.quote(arm.source.study.name) for arm in (pair.a, pair.b))
    equal = "" if pair.margin == EQUAL else f" --equal {pair.margin:g}"
    most = "" if max_seeds is None else f" --max-seeds {max_seeds}"
    return f"`optbench confirm {names} --until-decided{most}{equal}{pair.place}`"


def _at_every_look(pair: "Pair") -> str:
    found, d = pair.sequence, pair.difference
    assert found is not None, "a statement for every look rests on a confidence sequence"
    together = f" for all {pair.pairs} pairs together" if pair.pairs > 1 else ""
    within = f"{pair.margin:g} percentage points"
    match pair.conclusion:
        case Conclusion.EQUAL:
            verdict = f"equal within {within}"
        case Conclusion.BELOW_MARGIN:
            verdict = f"the difference is real, but within the {within} that count as equal"
        case Conclusion.BETTER:
            verdict = f"{pair.winner.name if pair.winner else ''} is better"
        case Conclusion.UNDECIDED:
            verdict = (
                f"undecided: neither a difference nor equality within {within} is shown; go on with {command(pair)}"
            )
    return (
        f"{at_every_look(found)} percentage points over {d.n} paired seeds (95 % at every look{together}): {verdict}. "
        f"The tests for a fixed n do not account for the looks: {bounds(d.low, d.high)}, {_p(pair)} by sign flips, "
        f"{_tost(pair)}"
    )


def _fixed(pair: "Pair") -> str:
    within = f"{pair.margin:g} percentage points"
    match pair.conclusion:
        case Conclusion.EQUAL:
            return f"equal within {within} ({_tost(pair)})"
        case Conclusion.BELOW_MARGIN:
            return f"the difference is real ({_p(pair)}), but within the {within} that count as equal ({_tost(pair)})"
        case Conclusion.BETTER:
            return f"{pair.winner.name if pair.winner else ''} is better ({_p(pair)} by sign flips)"
        case Conclusion.UNDECIDED:
            return f"undecided: {_why(pair)}; {_advice(pair)}"


def _why(pair: "Pair") -> str:
    """Which of the tests for a fixed number of seeds failed, with their numbers."""
    n, flips = pair.difference.n, f"the sign-flip test gives {_p(pair)}"
    if pair.difference.sign_flip_p <= min_p(n) and Test.SIGN_FLIPS in pair.failed:
        flips += f", the smallest that {n} seeds can reach"
    interval_ = "the 95 % interval includes 0"
    if Test.INTERVAL not in pair.failed:
        shown = f"the 95 % interval excludes 0, but {flips}"
    elif Test.SIGN_FLIPS not in pair.failed:
        shown = f"{flips}, but {interval_}"
    else:
        shown = f"{interval_} and {flips}"
    return f"{shown}; equality within {pair.margin:g} percentage points is not shown ({_tost(pair)})"


def _advice(pair: "Pair") -> str:
    guess, n = pair.seeds_to_decide, pair.difference.n
    if guess is None:
        return f"a rough guess from {n} pairs is that more than {MAX_SEEDS} seeds would decide"
    return f"a rough guess from {n} pairs is that {guess} seeds would decide; go on with {command(pair)}"


def _p(pair: "Pair") -> str:
    return f"p = {pair.p:.2g}" + (f", corrected for {pair.pairs} pairs" if pair.pairs > 1 else "")


def _tost(pair: "Pair") -> str:
    return f"p (TOST) = {pair.equal.p:.2g}"
