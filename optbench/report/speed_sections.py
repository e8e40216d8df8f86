"""The sections of the report on speed: how the searches went, and how soon the best trials reach an accuracy."""

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from optbench.comparison.arms import Arm, percent
from optbench.report import figures
from optbench.report.figures import Line
from optbench.report.model import Figure, Section, Table
from optbench.report.style import Scale, tint
from optbench.statistics.search import incumbent, time_to_target
from optbench.storage.study_records import COUNTED
from optbench.training.contract import Epoch

ERRORS = (4.0, 2.0, 1.5, 1.1)  # the targets, as multiples of the lowest validation error of the arms


def traces(arms: Sequence[Arm]) -> Section:
    """The lowest validation error so far against epochs and against seconds, pruned and diverged trials included."""
    by_epochs: list[Line] = []
    by_seconds: list[Line] = []
    text = []
    for arm in arms:
        ended = [t for t in arm.source.trials if t.state in COUNTED and t.hyperparameters]
        ended.sort(key=lambda t: (t.ended or datetime.max, t.number))
        epochs = np.cumsum([t.epochs for t in ended]).tolist()
        seconds = np.cumsum([t.seconds for t in ended]).tolist()
        best = incumbent([np.nan if t.value is None else t.value for t in ended]).tolist()
        y = [None if np.isnan(b) else b for b in best]
        for lines, x in ((by_epochs, epochs), (by_seconds, seconds)):
            lines.append(Line(name=arm.name, x=x, y=y, colour=tint(arms, arm), shape="hv"))
        last = best.index(best[-1])
        text.append(
            f"{arm.name}: the best, {percent(best[-1])} %, was found after {epochs[last]} of {epochs[-1]} epochs, and "
            f"after {seconds[last]:.0f} of {seconds[-1]:.0f} seconds of training."
        )
    caption = "Lowest validation error so far, over the {}, which are summed over all trials"
    axis = "lowest validation error, %"
    return Section(
        title="How the searches went",
        text=text,
        figures=[
            Figure(caption=caption.format(name), plot=figures.lines(lines, name, axis, Scale.ERROR))
            for name, lines in (("epochs trained", by_epochs), ("seconds of training", by_seconds))
        ],
        small=True,
    )


def targets(arms: Sequence[Arm]) -> Section:
    """The first epoch at which each arm's best trial reaches a validation accuracy, and the seconds until then.

    The targets depend on the lowest error, so that they say something about any data.
    """
    lowest = 1 - max(arm.single_runs[0].value or 0.0 for arm in arms)
    reachable = [math.floor(1000 * (1 - factor * lowest)) / 1000 for factor in ERRORS if factor * lowest < 1]
    wanted = list(dict.fromkeys(reachable))
    cells = []
    for arm in arms:
        curve = arm.source.curves[arm.single_runs[0].trial_id]
        reached = time_to_target([e.validation_accuracy for e in curve], wanted)
        cells.append([arm.name, *(_reached(curve, epoch) for epoch in reached)])
    factors = ", ".join(f"{factor:g}" for factor in ERRORS)
    return Section(
        title="Time to target",
        text=[f"The targets are {factors} times the lowest validation error of these searches."],
        tables=[
            Table(
                caption="The first epoch whose validation accuracy reaches the target, and the seconds until its end",
                head=["Best trial of", *(f"{100 * target:g} %" for target in wanted)],
                rows=cells,
            )
        ],
    )


def _reached(curve: Sequence[Epoch], epoch: int | None) -> str:
    if epoch is None:
        return "never"
    return f"{epoch} ({sum(row.seconds for row in curve[:epoch]):.1f} s)"
