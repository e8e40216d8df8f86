"""The report's first section: the verdict, with the paired differences that it rests on."""

from collections.abc import Sequence

from optbench.comparison.arms import Comparison, shared_seeds
from optbench.comparison.remarks import remarks
from optbench.comparison.verdict import Pair
from optbench.report.interval_figures import Interval, intervals
from optbench.report.model import Figure, Section, Table
from optbench.report.style import tint

FIRST_WORDS = ("no", "not", "one", "the")  # of remarks that do not begin with the name of a study
MEANINGFUL = 75  # percent: Bouthillier et al. (2021) call a larger P(a > b) meaningful


def verdict(comparison: Comparison, pairs: Sequence[Pair]) -> Section:
    """The verdict on each pair, and the differences by seed that it rests on."""
    return Section(
        title="The verdict",
        warnings=[f"Not a fair comparison: {difference}." for difference in comparison.differences],
        verdicts=[pair.sentence for pair in pairs],
        figures=[_differences(comparison, pairs), _chances(comparison, pairs)] if pairs else [],
        tables=[_table(pairs)] if pairs else [],
    )


def in_mind(comparison: Comparison) -> Section:
    """What a reader of the verdict should know: what is missing, and what the intervals leave out."""
    return Section(title="What to bear in mind", text=[_sentence(text) for text in remarks(comparison, on_page=True)])


def _sentence(remark: str) -> str:
    """A remark of the terminal as a sentence. Names of studies keep their first letter."""
    text = remark.capitalize()[:1] + remark[1:] if remark.split()[0] in FIRST_WORDS else remark
    return text if text.endswith((".", "`")) else f"{text}."


def _differences(comparison: Comparison, pairs: Sequence[Pair]) -> Figure:
    rows = []
    for pair in pairs:
        one, two = pair.a.confirmed[0].scores, pair.b.confirmed[0].scores
        seeds = {seed: 100 * (one[seed] - two[seed]) for seed in shared_seeds(pair.a, pair.b)}
        d, e = pair.sequence or pair.difference, pair.equal
        rows.append(
            Interval(
                name=_name(pair), value=100 * pair.difference.mean, low=100 * d.low, high=100 * d.high, seeds=seeds,
                ninety=None if pair.sequence else (100 * e.low, 100 * e.high),
                colour=tint(comparison.arms, pair.winner or pair.a),
            )
        )  # fmt: skip
    caption = (
        "Paired differences: a faint dot is the difference on one seed, the large dot their mean. For a difference, "
        "the thin line (95 % interval) must exclude 0. For equality, the thick line (90 % interval) must lie within "
        f"the shaded band of ±{pairs[0].margin:g} percentage points."
    )
    if any(pair.sequence for pair in pairs):
        caption += " Without a thick line, the thin one holds at every look, and must itself lie within the band."
    axis = "difference, percentage points"
    return Figure(caption=caption, plot=intervals(rows, axis, [0.0], pairs[0].margin))


def _chances(comparison: Comparison, pairs: Sequence[Pair]) -> Figure:
    rows = [
        Interval(
            name=f"{pair.a.name} above {pair.b.name}", value=100 * pair.better.fraction, low=100 * pair.better.low,
            high=100 * pair.better.high, colour=tint(comparison.arms, pair.winner or pair.a),
        )
        for pair in pairs
    ]  # fmt: skip
    caption = (
        "P(first > second): how often one training of the first arm is better than one of the second, with its 95 % "
        f"interval. The lines are at 50 % (no difference) and {MEANINGFUL} % (meaningful by Bouthillier et al. 2021)."
    )
    plot = intervals(rows, "probability, %", [50, MEANINGFUL], unit=" %")
    plot.update_xaxes(range=[-2, 102], dtick=25)
    return Figure(caption=caption, plot=plot)


def _table(pairs: Sequence[Pair]) -> Table:
    cells = []
    for pair in pairs:
        d, e, i = pair.difference, pair.equal, pair.better
        ninety = f"[{100 * e.low:+.3f}, {100 * e.high:+.3f}]"
        wins = f"{100 * i.fraction:.0f} % [{100 * i.low:.0f}, {100 * i.high:.0f}]"
        mean = f"{100 * d.mean:+.3f} [{100 * d.low:+.3f}, {100 * d.high:+.3f}]"
        values = [f"{p:.3g}" for p in (d.sign_flip_p, pair.p, d.wilcoxon_p)]
        cells.append([_name(pair), mean, *values, ninety, f"{e.p:.3g}", wins])
    head = [
        "Pair", "Difference [95 % CI]", "p (sign flips)", "p (corrected)", "p (Wilcoxon)", "90 % CI (TOST)", "p (TOST)",
        "P(first > second)",
    ]  # fmt: skip
    return Table(caption="Paired differences on shared seeds, in percentage points", head=head, rows=cells)


def _name(pair: Pair) -> str:
    return f"{pair.a.name} minus {pair.b.name}"
