"""The sections of the report: each a title, sentences that say what is seen, taken from the data, and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optbench.analysis import curve_sections, figures, pictures, search_sections
from optbench.analysis.arms import Arm, Comparison, Source
from optbench.analysis.budget import best_of_k, largest_k, median_of_k, tunability, win_probability
from optbench.analysis.figures import Line, colour
from optbench.analysis.page import Section, table
from optbench.analysis.verdict import Pair, Row, interval, missing, points

NEAR = 2.0  # points from the best: what a second figure shows more closely
HOLDS = 9  # n draws say what the best of n / 9 is worth: beyond, no band holds (methods of Lourie 2023)
DELTA = 0.005  # half a point: what S4 counts as near the best


def sections(
    comparison: Comparison,
    found: Sequence[Row],
    verdicts: Sequence[Pair],
    importances: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> list[Section]:
    """Everything that the page shows, in order."""
    arms = comparison.arms
    return [
        verdict(comparison, found, verdicts),
        stages(comparison, found),
        curve_sections.learning(comparison),
        budgets(arms),
        search_sections.traces(arms),
        *search_sections.spaces(arms),
        search_sections.rate_and_epsilon(arms),
        search_sections.importance(arms, importances),
        curve_sections.rates(comparison),
        search_sections.targets(arms),
        search_sections.audits(arms),
        *search_sections.luck(arms),
    ]


def verdict(comparison: Comparison, found: Sequence[Row], verdicts: Sequence[Pair]) -> Section:
    """The sentences, and the table they rest on."""
    cells = [
        [
            row.arm.name, str(row.arm.source.study.finished), str(row.arm.source.study.epochs), interval(row.default),
            interval(row.paper), interval(row.tuned), points(row.arm.best[0].value or 0),
            "-" if row.optimism is None else f"{100 * row.optimism:+.2f}",
        ]
        for row in found
    ]  # fmt: skip
    head = ["arm", "trials", "epochs", "default", "paper", "tuned, confirmed", "best in search", "optimism, points"]
    said = [pair.sentence for pair in verdicts] + missing(comparison)
    unfair = [f"Not a fair comparison: {difference}." for difference in comparison.differences]
    note = "Test accuracy in percent with 95 % t-intervals over seeds; the search's best is by validation."
    return Section("The verdict", [*said, note], tables=[table(head, cells)], warnings=unfair)


def stages(comparison: Comparison, found: Sequence[Row]) -> Section:
    """Default, paper and tuned as dots with intervals, beside the published figures."""
    dots, seen = [], set()
    for row in found:
        for stage, value in (("default", row.default), ("paper", row.paper), ("tuned", row.tuned)):
            key = (row.arm.optimizer if stage != "tuned" else row.arm.name, stage)
            if value is not None and key not in seen:
                seen.add(key)
                low, high = (value.mean, value.mean) if value.n < 2 else (value.low, value.high)
                dots.append((f"{key[0]}, {stage}", 100 * value.mean, 100 * low, 100 * high, colour(row.arm.optimizer)))
    marks = {f"article, {t.optimizer}": 100 * s.published for s, t in _settings(comparison) if s.published is not None}
    if not dots:
        return Section("From default to tuned", ["Nothing is measured on the test images yet."])
    kept = [
        f"{s.label}: {points(s.accuracy.mean)} % over {s.accuracy.n} seeds, published {points(s.published)} % "
        f"({s.difference:+.2f} points)."
        for s, _ in _settings(comparison)
        if s.published is not None
    ]
    gains = [
        f"Tuning {row.arm.name} gained {100 * (row.tuned.mean - row.default.mean):+.2f} points over Keras' defaults."
        for row in found
        if row.tuned and row.default
    ]
    drawn = [figures.dots(dots, "test accuracy %", marks)]
    best = max(dot[1] for dot in dots)
    near = [dot for dot in dots if best - dot[1] < NEAR]
    if 1 < len(near) < len(dots):
        drawn.append(
            figures.dots(near, "test accuracy %, the best of them", {k: v for k, v in marks.items() if best - v < NEAR})
        )
    return Section("From default to tuned", [*kept, *gains], drawn)


def budgets(arms: Sequence[Arm]) -> Section:
    """What k trials are worth, from independent draws that ran to their ends."""
    found, said = [], []
    for arm in arms:
        if arm.explored is None:
            command = f"`optbench sweep {arm.optimizer}-explore`"
            said.append(
                f"{arm.name}: nothing looked at its space evenly; {command} makes the curve, where it is the space."
            )
            continue
        values = _ended(arm.explored)
        k = np.arange(1, max(1, len(values) // HOLDS) + 1)
        known = k <= largest_k(len(values))
        found.append(
            Line(f"{arm.name}, mean", k.tolist(), best_of_k(values, k).tolist(), colour(arm.optimizer), dash="dot")
        )
        if known.any():
            low, high = pictures.band(values, k[known])
            median = median_of_k(values, k[known]).tolist()
            found.append(Line(f"{arm.name}, median", k[known].tolist(), median, colour(arm.optimizer), low, high))
        near = tunability(values, DELTA)
        share = f"{100 * near.share:.0f} % [{100 * near.low:.0f}, {100 * near.high:.0f}] of {len(values)} draws"
        chance = f"{near.trials} draws find one with 95 % chance"
        said.append(f"{arm.name}: {share} come within {100 * DELTA:.1f} points of the best; {chance}.")
    explored = [arm for arm in arms if arm.explored is not None]
    for index, a in enumerate(explored):
        for b in explored[index + 1 :]:
            chances = [
                f"{100 * win_probability(_ended(a.explored), _ended(b.explored), k):.0f} % at {k}"
                for k in (1, 2, 4, 7)
                if k * HOLDS <= min(len(_ended(a.explored)), len(_ended(b.explored)))
            ]
            if chances:
                said.append(f"With as many draws, {a.name} beats {b.name} with a chance of {', '.join(chances)}.")
    drawn = [figures.lines(found, "draws", "best validation accuracy")] if found else []
    return Section("What a budget is worth", said, drawn)


def _settings(comparison: Comparison) -> list[Any]:
    return [pair for source in comparison.fixed for pair in source.settings]


def _ended(source: Source | None) -> list[float]:
    """The values of all trials that ended, diverged ones as chance."""
    return (
        [t.last for t in source.trials if t.last is not None and t.state in ("complete", "diverged")] if source else []
    )
