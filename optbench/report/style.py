"""What all figures share: colours, axes and layout.

One colour per optimizer everywhere, from the palette of Okabe and Ito, which colour-blind people can tell apart. Every
colour is visible on white and on black.
"""

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import plotly.graph_objects as go

from optbench.comparison.arms import Arm
from optbench.optimizers import OPTIMIZERS

OTHER = "#9A8B00"
WARNING, REFERENCE = "#D6303F", "#888888"
GRID = "rgba(136,136,136,0.25)"
EQUAL_BAND = "rgba(136,136,136,0.22)"
PERCENT = {"tickformat": ".1~%", "hoverformat": ".2%"}
POWERS_OF_TEN = {"exponentformat": "power", "dtick": 1}
SHADES = ((0.0, 255), (0.45, 255), (0.4, 0), (0.65, 255), (0.6, 0))  # (how much, of white or of black)


class Scale(Enum):
    """The vertical axis of curves: accuracies in percent, their errors on a logarithmic axis, or powers of ten."""

    PERCENT = "percent"
    ERROR = "error"
    POWERS = "powers"


def colour(optimizer: str) -> str:
    """The optimizer's colour."""
    return OPTIMIZERS[optimizer].colour if optimizer in OPTIMIZERS else OTHER


def shade(base: str, index: int) -> str:
    """The colour itself for 0, and lighter and darker ones of the same hue for the following numbers."""
    part, towards = SHADES[index % len(SHADES)]
    mixed = (round((1 - part) * int(base[at : at + 2], 16) + part * towards) for at in (1, 3, 5))
    return "#" + "".join(f"{value:02X}" for value in mixed)


def tint(arms: Sequence[Arm], arm: Arm) -> str:
    """The arm's colour: its optimizer's, lighter or darker where an earlier arm has the same optimizer."""
    names = [other.name for other in arms if other.optimizer == arm.optimizer]
    return shade(colour(arm.optimizer), names.index(arm.name))


def error_axis(errors: Sequence[float]) -> dict[str, Any]:
    """The ticks of a logarithmic axis of errors in percent: powers of ten with 2 and 5, or closer ones."""
    ratio = max(errors) / min(errors) if errors else 1.0
    if ratio < 2:
        return {"dtick": f"L{_nice((max(errors) - min(errors)) / 4) if ratio > 1 else 1:g}", "tickformat": "~g"}
    return {"dtick": "D1" if ratio < 6 else "D2", "tickformat": "~g"}


def decades(low: float, high: float) -> int:
    """How many powers of ten lie between two ticks of a logarithmic axis, so that about five ticks are drawn."""
    return max(1, math.ceil(math.log10(high / low) / 5))


def styled(figure: go.Figure, x: str, y: str, log_x: bool = False, log_y: bool = False) -> go.Figure:
    """The figure with titles on its axes and the style that all of them share."""
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_xaxes(title=x, type="log" if log_x else None)
    figure.update_yaxes(title=y, type="log" if log_y else None)
    figure.update_layout(
        template="plotly_white", margin={"l": 60, "r": 20, "t": 30, "b": 50}, paper_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"}, plot_bgcolor="rgba(0,0,0,0)",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"}, font={"color": REFERENCE},
    )  # fmt: skip
    return figure


def _nice(step: float) -> float:
    """The step rounded up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)
