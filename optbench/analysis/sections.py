"""The sections of the report: each a title, sentences that say what is seen, taken from the data, and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from optbench.analysis import budget_section, curve_sections, figures, search_sections
from optbench.analysis.arms import Comparison, points
from optbench.analysis.figures import colour
from optbench.analysis.page import Section, table
from optbench.analysis.remarks import remarks
from optbench.analysis.statistics import confirmation
from optbench.analysis.verdict import Pair, Row, interval

NEAR = 2.0  # points from the best: what a second figure shows more closely


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
        budget_section.budgets(arms),
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
    """The sentences, and the tables they rest on."""
    cells = [
        [
            row.arm.name, interval(row.tuned), interval(row.default), interval(row.paper),
            points(row.arm.trial.value or 0), "-" if row.optimism is None else f"{100 * row.optimism:+.2f}",
            str(row.arm.trials), str(row.arm.consumed),
        ]
        for row in found
    ]  # fmt: skip
    head = ["arm", "tuned, confirmed", "default", "paper", "in the search", "search less tuned", "trials", "epochs"]
    unfair = [f"Not a fair comparison: {difference}." for difference in comparison.differences]
    note = (
        "Test accuracy in percent with 95 % t-intervals over seeds; in the search, the tuned trial had that validation "
        "accuracy: what it is more than the confirmed one flattered it, as far as its validation images are no easier."
    )
    tables = [table(head, cells), *_confirmed(comparison), *_paired(verdicts)]
    sentences = [pair.sentence for pair in verdicts]
    return Section("The verdict", [*remarks(comparison), note], tables=tables, warnings=unfair, verdicts=sentences)


def _confirmed(comparison: Comparison) -> list[str]:
    """Every confirmed configuration over its seeds, as a table."""
    cells = []
    for arm in comparison.arms:
        for place, configuration in enumerate(arm.confirmed, start=1):
            c = confirmation(list(configuration.scores.values()))
            middle = [points(value) for value in (c.median, c.iqm, c.least, c.most)]
            cells.append([arm.name, str(place), str(configuration.trial.number), str(c.n), interval(c), *middle])
    head = ["confirmed", "by validation", "trial", "seeds", "mean", "median", "middle half", "least", "most"]
    return [table(head, cells)] if cells else []


def _paired(verdicts: Sequence[Pair]) -> list[str]:
    """Every pair's tests, as a table."""
    cells = []
    for pair in verdicts:
        d, e, i = pair.difference, pair.equal, pair.better
        ninety = f"[{100 * e.low:+.3f}, {100 * e.high:+.3f}]"
        wins = f"{100 * i.share:.0f} % [{100 * i.low:.0f}, {100 * i.high:.0f}]"
        mean = f"{100 * d.mean:+.3f} [{100 * d.low:+.3f}, {100 * d.high:+.3f}]"
        values = [f"{p:.3g}" for p in (d.sign_flip_p, pair.p, d.wilcoxon_p)]
        cells.append([f"{pair.a.name} - {pair.b.name}", mean, *values, ninety, f"{e.p:.3g}", wins])
    head = [
        "pair", "points, 95 %", "p, sign flips", "corrected", "p, Wilcoxon", "90 %", "p, not equal",
        "a run of the first wins",
    ]  # fmt: skip
    return [table(head, cells)] if cells else []


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
        f"{row.arm.name}: tuned, it is at {100 * (row.tuned.mean - row.default.mean):+.2f} points from Keras' defaults."
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


def _settings(comparison: Comparison) -> list[Any]:
    return [pair for source in comparison.fixed for pair in source.settings]
