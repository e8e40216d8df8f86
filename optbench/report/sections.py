"""The report's sections on the verdict and on the way from default to tuned, and the list of all sections."""

from collections.abc import Sequence

from optbench.comparison.arms import Arm, Comparison, percent
from optbench.comparison.baseline import Setting
from optbench.comparison.remarks import remarks
from optbench.comparison.rows import Row, interval
from optbench.comparison.verdict import Pair
from optbench.report import budget_section, curve_sections, figures, search_sections
from optbench.report.figures import Interval, colour
from optbench.report.model import Figure, Section, Table
from optbench.statistics.seeds import confirmation
from optbench.storage import TrialRecord

CLOSE = 2.0  # percentage points below the best that a second figure shows in detail
EXPLANATION = (
    'Test accuracies are means in percent with 95 % t-intervals over seeds. "Search" is the winner\'s validation '
    "accuracy. It is usually higher than the test accuracy, because the winner was picked by it and because the two "
    "sets differ in difficulty."
)


def sections(comparison: Comparison, rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Section]:
    """Every section of the page, in order; those that have nothing to show are left out."""
    arms = comparison.arms
    found = [
        verdict(comparison, rows, pairs),
        stages(comparison, rows),
        curve_sections.learning(comparison),
        budget_section.budgets(arms),
        search_sections.traces(arms),
        *search_sections.spaces(arms),
        search_sections.rate_and_epsilon(arms),
        search_sections.importance(arms),
        curve_sections.effective_learning_rates(comparison),
        search_sections.targets(arms),
        search_sections.pruning(arms),
        search_sections.repeats(arms),
    ]
    return [section for section in found if section is not None]


def verdict(comparison: Comparison, rows: Sequence[Row], pairs: Sequence[Pair]) -> Section:
    """The verdicts and remarks of the comparison, and the tables that they rest on."""
    tables = [_arms(rows), _confirmed(comparison.arms), _pairs(pairs)]
    return Section(
        title="The verdict",
        text=[*remarks(comparison, on_page=True), EXPLANATION],
        warnings=[f"Not a fair comparison: {difference}." for difference in comparison.differences],
        verdicts=[pair.sentence for pair in pairs],
        tables=[table for table in tables if table.rows],
    )


def _arms(rows: Sequence[Row]) -> Table:
    cells = [
        [
            row.arm.name, interval(row.tuned), interval(row.default), interval(row.paper),
            percent(row.arm.trial.value or 0), "-" if row.optimism is None else f"{100 * row.optimism:+.2f}",
            str(row.arm.trials), str(row.arm.consumed),
        ]
        for row in rows
    ]  # fmt: skip
    head = ["Arm", "Tuned, confirmed", "Default", "Paper", "Search", "Validation - test", "Trials", "Epochs"]
    return Table(
        caption="Test accuracy in percent, from default to tuned, and what the search cost", head=head, rows=cells
    )


def _confirmed(arms: Sequence[Arm]) -> Table:
    cells = []
    for arm in arms:
        for place, configuration in enumerate(arm.confirmed, start=1):
            c = confirmation(list(configuration.scores.values()))
            middle = [percent(value) for value in (c.median, c.iqm, c.min, c.max)]
            cells.append([arm.name, str(place), str(configuration.trial.number), str(c.n), interval(c), *middle])
    head = ["Arm", "Rank by validation", "Trial", "Seeds", "Mean", "Median", "Interquartile mean", "Min", "Max"]
    return Table(
        caption="Test accuracy in percent of every confirmed configuration over its seeds", head=head, rows=cells
    )


def _pairs(pairs: Sequence[Pair]) -> Table:
    cells = []
    for pair in pairs:
        d, e, i = pair.difference, pair.equal, pair.better
        ninety = f"[{100 * e.low:+.3f}, {100 * e.high:+.3f}]"
        wins = f"{100 * i.fraction:.0f} % [{100 * i.low:.0f}, {100 * i.high:.0f}]"
        mean = f"{100 * d.mean:+.3f} [{100 * d.low:+.3f}, {100 * d.high:+.3f}]"
        values = [f"{p:.3g}" for p in (d.sign_flip_p, pair.p, d.wilcoxon_p)]
        cells.append([f"{pair.a.name} - {pair.b.name}", mean, *values, ninety, f"{e.p:.3g}", wins])
    head = [
        "Pair", "Difference [95 % CI]", "p (sign flips)", "p (corrected)", "p (Wilcoxon)", "90 % CI (TOST)", "p (TOST)",
        "P(first > second)",
    ]  # fmt: skip
    return Table(caption="Paired differences on shared seeds, in percentage points", head=head, rows=cells)


def stages(comparison: Comparison, rows: Sequence[Row]) -> Section:
    """Default, paper and tuned as dots with intervals, and the published accuracies."""
    settings = [pair for source in comparison.fixed for pair in source.settings]
    dots = _dots(rows)
    if not dots:
        return Section(title="From default to tuned", text=["Nothing has been evaluated on the test set yet."])
    published = {f"article, {t.optimizer}": 100 * s.published for s, t in settings if s.published is not None}
    caption = "Mean test accuracy with its 95 % interval over seeds; dotted lines are published figures"
    drawn = [Figure(caption=caption, plot=figures.dots(dots, "test accuracy %", published))]
    best = max(dot.value for dot in dots)
    near = [dot for dot in dots if best - dot.value < CLOSE]
    if 1 < len(near) < len(dots):
        marks = {name: value for name, value in published.items() if abs(best - value) < CLOSE}
        plot = figures.dots(near, "test accuracy %", marks)
        drawn.append(Figure(caption=f"The same for those within {CLOSE:g} percentage points of the best", plot=plot))
    return Section(title="From default to tuned", text=[*_published(settings), *_gains(rows)], figures=drawn)


def _dots(rows: Sequence[Row]) -> list[Interval]:
    """A dot for each stage that was measured. Arms of one optimizer share its default and paper settings."""
    found: dict[str, Interval] = {}
    for row in rows:
        optimizer = row.arm.optimizer
        for name, value in (
            (f"{optimizer}, default", row.default),
            (f"{optimizer}, paper", row.paper),
            (f"{row.arm.name}, tuned", row.tuned),
        ):
            if value is not None:
                low, high = (value.mean, value.mean) if value.n < 2 else (value.low, value.high)
                dot = Interval(
                    name=name, value=100 * value.mean, low=100 * low, high=100 * high, colour=colour(optimizer)
                )
                found.setdefault(name, dot)
    return list(found.values())


def _published(settings: Sequence[tuple[Setting, TrialRecord]]) -> list[str]:
    return [
        f"{s.label}: {percent(s.accuracy.mean)} % over {s.accuracy.n} seeds; {percent(s.published)} % was published "
        f"({s.difference:+.2f} percentage points)."
        for s, _ in settings
        if s.published is not None
    ]


def _gains(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.arm.name}: tuning changed the test accuracy by {100 * (row.tuned.mean - row.default.mean):+.2f} "
        "percentage points from Keras' defaults."
        for row in rows
        if row.tuned and row.default
    ]
