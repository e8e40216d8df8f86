"""The section of the report on budgets: what the best of k draws comes to, from searches that explored evenly."""

from collections.abc import Sequence
from itertools import combinations

from optbench.analysis import figures, pictures
from optbench.analysis.arms import Arm, Source, points
from optbench.analysis.budget import (
    band_of_k,
    best_of_k,
    best_of_k_unbiased,
    largest_k,
    median_of_k,
    tunability,
    win_probability,
)
from optbench.analysis.figures import Line, colour
from optbench.analysis.page import Section, table
from optbench.definition import load, parse, shipped

DELTA = 0.005  # half a point: what S4 counts as near the best
BUDGETS = (1, 2, 4, 6, 8, 16, 32, 64)  # draws that the sentences and the table tell of, as far as a band holds
HEAD = ["arm", "draws", "mean of the best", "unbiased", "median of the best", "95 % band of the median"]


def budgets(arms: Sequence[Arm]) -> Section:
    """What k trials are worth, from independent draws that ran to their ends."""
    explored = [(arm, _ended(arm.explored)) for arm in arms if arm.explored is not None]
    said = [_missing(arm) for arm in arms if arm.explored is None] + [_tunable(*pair) for pair in explored]
    lines: list[Line] = []
    rows: list[list[str]] = []
    for arm, values in explored:
        lines += pictures.budget_lines(f"{arm.name}, ", values, colour(arm.optimizer))
        rows += _rows(arm.name, values)
    for (a, ours), (b, theirs) in combinations(explored, 2):
        chances = [f"{100 * win_probability(ours, theirs, k):.0f} % at {k}" for k in _budgets(ours, theirs)]
        if chances:
            said.append(f"With as many draws, {a.name} beats {b.name} with a chance of {', '.join(chances)}.")
    drawn = [figures.lines(lines, "draws", "best validation accuracy")] if lines else []
    return Section("What a budget is worth", said, drawn, [table(HEAD, rows)] if rows else [])


def _missing(arm: Arm) -> str:
    """What makes the arm's curve: a definition that ships, if it is of the same space and data, else words."""
    own, name = parse(arm.source.definition, arm.name), f"{arm.optimizer}-explore"
    how = 'a sweep of the same space and epochs with the sampler "qmc" and the pruner "none"'
    if (shipped() / f"{name}.toml").exists():
        other = load(name, {"epochs": own.epochs}).fingerprint({})
        if all(other.get(k) == v for k, v in own.fingerprint({}).items() if not k.startswith(("sampler", "pruner"))):
            how = f"`optbench sweep {name} --epochs {own.epochs}`"
    return f"{arm.name}: nothing looked at its space evenly; {how} makes the curve."


def _tunable(arm: Arm, values: Sequence[float]) -> str:
    near = tunability(values, DELTA)
    share = f"{100 * near.share:.0f} % [{100 * near.low:.0f}, {100 * near.high:.0f}] of {len(values)} draws"
    chance = f"{near.trials} draws find one with 95 % chance"
    return f"{arm.name}: {share} come within {100 * DELTA:.1f} points of the best; {chance}."


def _rows(name: str, values: Sequence[float]) -> list[list[str]]:
    k = _budgets(values)
    if not k:
        return []
    means, unbiased, medians = best_of_k(values, k), best_of_k_unbiased(values, k), median_of_k(values, k)
    columns = zip(k, means, unbiased, medians, *band_of_k(values, k), strict=True)
    return [
        [name, str(n), points(mean), points(fair), points(median), f"{points(low)} to {points(high)}"]
        for n, mean, fair, median, low, high in columns
    ]


def _budgets(*samples: Sequence[float]) -> list[int]:
    """The numbers of draws that all of the samples can tell of."""
    most = largest_k(min(map(len, samples)))
    return [k for k in BUDGETS if k <= most]


def _ended(source: Source) -> list[float]:
    """The values of all trials that ended, diverged ones as chance."""
    return [t.last for t in source.trials if t.last is not None and t.state in ("complete", "diverged")]
