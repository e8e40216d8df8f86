"""Figures of means with their intervals, a row each, with every seed's value as a faint dot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from optbench.report.style import EQUAL_BAND, REFERENCE, styled

ROW_HEIGHT, AXES_HEIGHT = 50, 110  # pixels
BELOW = 0.28  # how far below its mean a row's seeds are drawn, in rows
WRAP = 24  # characters of a row's name before it is broken


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval and, where it is of use, its 90 % interval.

    `seeds` are the values that the mean is of, by seed. `diamond` is a value to compare it with.
    """

    name: str
    value: float
    low: float
    high: float
    colour: str
    seeds: Mapping[int, float] | None = None
    ninety: tuple[float, float] | None = None
    diamond: float | None = None
    diamond_is: str = "published"


def intervals(
    rows: Sequence[Interval], x: str, lines: Sequence[float] = (), band: float | None = None, unit: str = ""
) -> go.Figure:
    """A row for each interval: faint dots for seeds, a large dot for the mean, a line for its interval.

    `lines` are drawn upright. What lies within ±`band` counts as equal, and is shaded.
    """
    figure = go.Figure()
    if band is not None:
        figure.add_vrect(
            x0=-band, x1=band, fillcolor=EQUAL_BAND, line_width=0, layer="below",
            annotation={"text": f"counts as equal (±{band:g})", "font": {"size": 11}},
            annotation_position="outside top",
        )  # fmt: skip
    for value in lines:
        figure.add_vline(x=value, line_color=REFERENCE, line_width=1)
    for place, row in enumerate(rows):
        _add(figure, row, place, unit)
    ticks = {"tickmode": "array", "tickvals": list(range(len(rows))), "ticktext": [_broken(row.name) for row in rows]}
    figure.update_yaxes(range=[len(rows) - 0.5, -0.5], zeroline=False, **ticks)
    figure.update_layout(height=AXES_HEIGHT + ROW_HEIGHT * len(rows), showlegend=False)
    return styled(figure, x, "")


def _add(figure: go.Figure, row: Interval, place: int, unit: str) -> None:
    """Draw one row, its seeds a little below it so that the interval does not hide them."""
    if row.seeds:
        figure.add_scatter(
            x=list(row.seeds.values()), y=[place + BELOW] * len(row.seeds), mode="markers", hoverinfo="text",
            text=[f"seed {seed}: {value:.2f}{unit}" for seed, value in row.seeds.items()],
            marker={"color": row.colour, "size": 9, "opacity": 0.5},
        )  # fmt: skip
    if row.ninety is not None:
        figure.add_scatter(
            x=list(row.ninety), y=[place] * 2, mode="lines", hoverinfo="skip",
            line={"color": row.colour, "width": 7}, opacity=0.6,
        )  # fmt: skip
    figure.add_scatter(
        x=[row.value], y=[place], mode="markers", hoverinfo="text",
        text=[f"{row.name}: {row.value:.2f}{unit} [{row.low:.2f}, {row.high:.2f}]"],
        marker={"color": row.colour, "size": 12, "line": {"color": "white", "width": 1}},
        error_x={
            "type": "data", "symmetric": False, "array": [row.high - row.value], "arrayminus": [row.value - row.low],
            "color": row.colour, "thickness": 2, "width": 7,
        },
    )  # fmt: skip
    if row.diamond is not None:
        figure.add_scatter(
            x=[row.diamond], y=[place], mode="markers", hoverinfo="text",
            text=[f"{row.diamond_is}: {row.diamond:.2f}{unit}"],
            marker={"color": REFERENCE, "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
        )  # fmt: skip


def _broken(name: str) -> str:
    """The name on two lines if it is long, so that it leaves room for the figure."""
    if len(name) <= WRAP or " " not in name:
        return name
    middle = min((at for at, letter in enumerate(name) if letter == " "), key=lambda at: abs(at - len(name) / 2))
    return f"{name[:middle]}<br>{name[middle + 1 :]}"
