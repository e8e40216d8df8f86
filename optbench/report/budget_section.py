"""The section of the report on budgets: how good the best of k draws is, in searches by independent draws."""

from collections.abc import Sequence
from itertools import combinations

from optbench.comparison.arms import Arm, Source, explores, percent
from optbench.definition import load, shipped
from optbench.definition.sweep import Sweep
from optbench.report import figures, study_figures
from optbench.report.figures import Line
from optbench.report.model import Figure, Section, Table
from optbench.report.style import PERCENT, tint
from optbench.scheduler.states import State
from optbench.statistics.budget import (
    band_of_k,
    best_of_k_unbiased,
    largest_k,
    median_of_k,
    tunability,
    win_probability,
)

DEPTH = 0.2  # how far the axis of accuracies reaches below the best draw
NEAR = 0.005  # half a percentage point: what counts as near the best
BUDGETS = (1, 2, 4, 6, 8, 16, 32, 64)  # the numbers of draws in the text and the table, as far as the band is defined
HEAD = ["Arm", "Draws", "Mean of the best", "Median of the best", "95 % band of the median"]


def budgets(arms: Sequence[Arm]) -> Section:
    """How good the best of k trials is, from independent draws that ran to their ends."""
    explored = [(arm, _values(arm.explored)) for arm in arms if arm.explored is not None]
    text = [_missing(arm) for arm in arms if arm.explored is None] + [_tunability(*pair) for pair in explored]
    lines: list[Line] = []
    rows: list[list[str]] = []
    for arm, values in explored:
        lines += study_figures.budget_lines(f"{arm.name}, ", values, tint(arms, arm))
        rows += _rows(arm.name, values)
    for (a, ours), (b, theirs) in combinations(explored, 2):
        chances = [f"{100 * win_probability(ours, theirs, k):.0f} % with {k}" for k in _budgets(ours, theirs)]
        if chances:
            text.append(f"With equally many draws, the chance that {a.name} beats {b.name} is {', '.join(chances)}.")
    if explored:
        text.append(
            "The curves stop where the 95 % band of the median is no longer defined: few draws say little about the "
            "best of many."
        )
    caption = "Best validation accuracy of k independent draws: mean, and median with its 95 % band"
    drawn = [Figure(caption=caption, plot=figures.lines(lines, "draws", "best validation accuracy"))] if lines else []
    if explored:
        drawn.append(_reached(arms, explored))
    return Section(
        title="What a budget is worth",
        text=text,
        figures=drawn,
        tables=[Table(caption="Best validation accuracy of k draws, in percent", head=HEAD, rows=rows)] if rows else [],
    )


def _reached(arms: Sequence[Arm], explored: Sequence[tuple[Arm, Sequence[float]]]) -> Figure:
    """The fraction of draws that reach each accuracy: the distribution of the draws, seen from its upper end."""
    found = []
    for arm, values in explored:
        ordered = sorted(values, reverse=True)
        shares = [rank / len(ordered) for rank in range(1, len(ordered) + 1)]
        found.append(Line(name=arm.name, x=ordered, y=shares, colour=tint(arms, arm), shape="vh"))
    best = max(max(values) for _, values in explored)
    plot = figures.lines(found, "validation accuracy", "draws that reach it")
    plot.update_xaxes(PERCENT | {"range": [best - DEPTH, best + 0.05 * DEPTH]})
    return Figure(caption="The fraction of draws that reach a validation accuracy", plot=plot)


def _missing(arm: Arm) -> str:
    """A sentence that says how to get the arm's curve."""
    study = arm.source.study
    if explores(study):
        return (
            f"{arm.name}: {study.finished} of {study.total} trials are finished; the curve needs all of them. Carry on "
            f"with `optbench sweep {arm.source.sweep.name}`."
        )
    own, name = arm.source.sweep, f"{arm.optimizer}-explore"
    how = 'Sweep the same space and epochs with the sampler "qmc" and the pruner "none" to get the curve.'
    if (shipped() / f"{name}.toml").exists():
        other = load(name, {"epochs": own.epochs})
        if _space(own) == _space(other):
            how = f"`optbench sweep {name} --epochs {own.epochs}` makes the curve."
    return f"{arm.name}: no finished study explores its space with independent draws. {how}"


def _space(sweep: Sweep) -> tuple[object, ...]:
    """Everything that two searches of the same space have in common."""
    return sweep.optimizer, sweep.space, sweep.epochs, sweep.batch, sweep.data, sweep.model.identity()


def _tunability(arm: Arm, values: Sequence[float]) -> str:
    near = tunability(values, NEAR)
    part = f"{100 * near.fraction:.0f} % [{100 * near.low:.0f}, {100 * near.high:.0f}] of {len(values)} draws"
    chance = f"{near.trials} draws contain one of them with a probability of 95 %"
    return f"{arm.name}: {part} come within {100 * NEAR:.1f} percentage points of the best; {chance}."


def _rows(name: str, values: Sequence[float]) -> list[list[str]]:
    k = _budgets(values)
    if not k:
        return []
    columns = zip(k, best_of_k_unbiased(values, k), median_of_k(values, k), *band_of_k(values, k), strict=True)
    return [
        [name, str(draws), percent(mean), percent(median), f"{percent(low)} to {percent(high)}"]
        for draws, mean, median, low, high in columns
    ]


def _budgets(*samples: Sequence[float]) -> list[int]:
    """The numbers of draws for which all samples have a band."""
    largest = largest_k(min(map(len, samples)))
    return [k for k in BUDGETS if k <= largest]


def _values(source: Source) -> list[float]:
    """The values of all trials that ended; a diverged one has the accuracy of guessing."""
    return [t.last for t in source.trials if t.last is not None and t.state in (State.COMPLETE, State.DIVERGED)]
