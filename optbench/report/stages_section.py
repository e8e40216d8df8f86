"""The report's section on the way from default over paper to tuned, with every seed's score and what tuning gained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optbench.comparison.arms import Arm, Comparison, is_default, is_paper, percent
from optbench.comparison.baseline import Setting
from optbench.comparison.rows import IN_WORDS, Gain, Row, Stage, gains, interval
from optbench.report.interval_figures import Interval, intervals
from optbench.report.model import Figure, Section, Table
from optbench.report.style import tint
from optbench.statistics.seeds import Confirmation, confirmation
from optbench.storage import TrialRecord

TITLE = "From default to tuned"
CLOSE = 2.0  # percentage points below the best that a second figure shows in detail
EXPLANATION = (
    'Test accuracies are means in percent with 95 % t-intervals over seeds. "Validation" is the accuracy that the '
    'configuration was chosen by, "Single run" that of its run in the search. The latter is usually higher than the '
    "test accuracy, because the best of many runs was lucky, too, and because the two sets differ in difficulty."
)
AXIS = "test accuracy, %"


def stages(comparison: Comparison, rows: Sequence[Row], margin: float | None = None) -> Section:
    """Default, paper and tuned of each arm on the test set. Differences within ±`margin` points count as equal."""
    settings = [pair for source in comparison.fixed for pair in source.settings]
    dots = _dots(comparison.arms, rows, settings)
    if not dots:
        return Section(title=TITLE, text=["Nothing has been evaluated on the test set yet."])
    gained = gains(rows)
    tables = [_arms(rows), _confirmed(comparison.arms)]
    return Section(
        title=TITLE,
        text=[*(f"{gain.sentence}." for gain in gained), *_published(settings), EXPLANATION],
        figures=[*_scores(dots), *_gained(comparison.arms, gained, margin)],
        tables=[table for table in tables if table.rows],
    )


def _scores(dots: Sequence[Interval]) -> list[Figure]:
    marks = "a faint dot is one seed, the large dot their mean with its 95 % interval"
    published = "; a hollow diamond is a published accuracy" if any(d.diamond is not None for d in dots) else ""
    found = [Figure(caption=f"Test accuracy: {marks}{published}", plot=intervals(dots, AXIS, unit=" %"))]
    best = max(dot.value for dot in dots)
    near = [dot for dot in dots if best - dot.value < CLOSE]
    if 1 < len(near) < len(dots):
        far = [dot.diamond is not None and abs(best - dot.diamond) >= CLOSE for dot in near]
        shown = [replace(dot, diamond=None) if away else dot for dot, away in zip(near, far, strict=True)]
        caption = f"The same for those within {CLOSE:g} percentage points of the best"
        found.append(Figure(caption=caption, plot=intervals(shown, AXIS, unit=" %")))
    return found


def _gained(arms: Sequence[Arm], found: Sequence[Gain], margin: float | None) -> list[Figure]:
    """What tuning gained, where that is small enough to be drawn beside the band that counts as equal."""
    rows = []
    for gain in found:
        d, tuned, other = gain.difference, gain.row.scores[Stage.TUNED], gain.row.scores[gain.over]
        if 100 * abs(d.mean) < CLOSE:
            seeds = {seed: 100 * (tuned[seed] - other[seed]) for seed in sorted(tuned.keys() & other.keys())}
            rows.append(
                Interval(
                    name=f"{gain.row.arm.name} minus {gain.over}", value=100 * d.mean, low=100 * d.low,
                    high=100 * d.high, colour=tint(arms, gain.row.arm), seeds=seeds,
                )
            )  # fmt: skip
    if not rows:
        return []
    caption = f"What tuning gained, paired by seed, where it is less than {CLOSE:g} percentage points"
    plot = intervals(rows, "gain, percentage points", [0.0], margin)
    return [Figure(caption=caption, plot=plot)]


def _dots(arms: Sequence[Arm], rows: Sequence[Row], settings: Sequence[tuple[Setting, TrialRecord]]) -> list[Interval]:
    """A dot for each stage that was measured. Arms of one optimizer share its default and paper settings."""
    found: dict[str, Interval] = {}
    for row in rows:
        optimizer = row.arm.optimizer
        names = {stage: f"{optimizer}, {stage}" for stage in IN_WORDS} | {Stage.TUNED: f"{row.arm.name}, tuned"}
        summaries = {Stage.DEFAULT: row.default, Stage.PAPER: row.paper, Stage.TUNED: row.tuned}
        for stage, value in summaries.items():
            if value is not None:
                figure = _figure(settings, optimizer, stage)
                dot = _dot(names[stage], value, row.scores[stage], tint(arms, row.arm), figure)
                found.setdefault(dot.name, dot)
    return list(found.values())


def _dot(name: str, mean: Confirmation, scores: Mapping[int, float], colour: str, published: float | None) -> Interval:
    low, high = (mean.mean, mean.mean) if mean.n < 2 else (mean.low, mean.high)
    return Interval(
        name=name, value=100 * mean.mean, low=100 * low, high=100 * high, colour=colour,
        seeds={seed: 100 * value for seed, value in scores.items()},
        diamond=None if published is None else 100 * published,
    )  # fmt: skip


def _figure(settings: Sequence[tuple[Setting, TrialRecord]], optimizer: str, stage: Stage) -> float | None:
    """The accuracy that was published for a stage of an optimizer, if there is one."""
    wanted = {Stage.DEFAULT: is_default, Stage.PAPER: is_paper}.get(stage)
    found = (s.published for s, t in settings if wanted is not None and t.optimizer == optimizer and wanted(t))
    return next((published for published in found if published is not None), None)


def _arms(rows: Sequence[Row]) -> Table:
    cells = [
        [
            row.arm.name, interval(row.tuned), interval(row.default), interval(row.paper),
            row.arm.selection.in_words, row.arm.selection.in_percent, percent(row.arm.selection.single),
            "-" if row.optimism is None else f"{100 * row.optimism:+.2f}",
            str(row.arm.trials), str(row.arm.consumed),
        ]
        for row in rows
    ]  # fmt: skip
    head = [
        "Arm",
        "Tuned, confirmed",
        "Default",
        "Paper",
        "Chosen by",
        "Validation",
        "Single run",
        "Single run - test",
        "Trials",
        "Epochs",
    ]
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


def _published(settings: Sequence[tuple[Setting, TrialRecord]]) -> list[str]:
    return [
        f"{s.label}: {percent(s.accuracy.mean)} % over {s.accuracy.n} seeds; {percent(s.published)} % was published "
        f"({s.difference:+.2f} percentage points)."
        for s, _ in settings
        if s.published is not None
    ]
