"""The report's section on finals: each finalist on fresh seeds, in the order of the single runs of the search."""

from collections.abc import Sequence

from optbench.comparison.arms import Arm, percent
from optbench.comparison.selection import FEW, mean_in_percent
from optbench.report.interval_figures import Interval, intervals
from optbench.report.model import Figure, Section, Table
from optbench.report.style import tint
from optbench.scheduler.finals import Finalist
from optbench.storage import FinalsRecord


def finals(arms: Sequence[Arm]) -> Section | None:
    """How the finals of each arm reshuffled its best single runs; None where no search has finals."""
    held = [(arm, arm.source.study.finals) for arm in arms]
    found = [(arm, own) for arm, own in held if own is not None and own.finalists]
    if not found:
        return None
    return Section(
        title="Finals",
        text=[_told(arm, own) for arm, own in found],
        figures=[_figure(arms, arm, own) for arm, own in found],
        tables=[_table(arm, own) for arm, own in found],
    )


def _told(arm: Arm, own: FinalsRecord) -> str:
    winner = own.winner
    if winner is None:
        return f"{arm.name}: {own.finished} of {own.total} trials of the finals are finished."
    mean = f"{arm.name}: trial {winner.trial} won with a mean of {mean_in_percent(winner, ' %')}"
    mean += f" over {len(winner.scores)} fresh seeds"
    single = _by_single_run(own.finalists)[0]
    if winner.optimism is not None:
        mean += f"; its single run in the search had {percent(winner.searched or 0)} %"
    if single.trial == winner.trial:
        return f"{mean}. It was the best single run, too."
    rank = own.finalists.index(single) + 1
    return f"{mean}. The best single run, trial {single.trial}, came out as number {rank} of {len(own.finalists)}."


def _figure(arms: Sequence[Arm], arm: Arm, own: FinalsRecord) -> Figure:
    rows = []
    for one in _by_single_run(own.finalists):
        margin = one.interval.margin if len(one.scores) >= FEW else 0.0
        rows.append(
            Interval(
                name=f"trial {one.trial}", value=100 * one.mean, low=100 * (one.mean - margin),
                high=100 * (one.mean + margin), colour=tint(arms, arm),
                seeds={seed: 100 * value for seed, value in one.scores.items()},
                diamond=None if one.searched is None else 100 * one.searched, diamond_is="single run",
            )
        )  # fmt: skip
    caption = (
        f"Finalists of {arm.name} in the order of their single runs. A hollow diamond is the single run, a faint dot a "
        f"fresh seed, the large dot their mean, with its 95 % interval where there are {FEW} seeds or more."
    )
    return Figure(caption=caption, plot=intervals(rows, "validation accuracy, %", unit=" %"))


def _table(arm: Arm, own: FinalsRecord) -> Table:
    rows = [
        [
            str(rank), str(one.trial), mean_in_percent(one), str(len(one.scores)), str(one.rounds),
            "-" if one.searched is None else percent(one.searched),
            "-" if one.optimism is None else f"{100 * one.optimism:+.2f}",
        ]
        for rank, one in enumerate(own.finalists, start=1)
    ]  # fmt: skip
    head = ["Rank", "Trial", "Mean over fresh seeds", "Seeds", "Rounds", "Single run", "Single run - mean"]
    return Table(caption=f"Validation accuracy in percent of the finalists of {arm.name}", head=head, rows=rows)


def _by_single_run(finalists: Sequence[Finalist]) -> list[Finalist]:
    return sorted(finalists, key=lambda one: (-(one.searched or 0.0), one.trial))
