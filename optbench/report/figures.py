"""Figures of studies as Plotly graph objects of plain lists, for the report and for optuna-dashboard.

One colour per optimizer everywhere, from the palette of Okabe and Ito, which colour-blind people can tell apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from optbench.definition.space import Float
from optbench.optimizers import OPTIMIZERS
from optbench.report.edges import Edge
from optbench.scheduler.states import State

OTHER = "#9A8B00"
WARNING, REFERENCE = "#D6303F", "#888888"  # both are visible on white and on black
GRID = "rgba(136,136,136,0.25)"
SYMBOLS = {State.COMPLETE: "circle", State.PRUNED: "x", State.DIVERGED: "square-open"}
BELOW_AXIS = "triangle-down"
GROUP_SYMBOLS = ("circle", "diamond", "square", "cross")
PERCENT = {"tickformat": ".1~%", "hoverformat": ".2%"}
POWERS_OF_TEN = {"exponentformat": "power", "dtick": 1}
ROW_HEIGHT, AXES_HEIGHT = 46, 110  # pixels


@dataclass(frozen=True, kw_only=True)
class Line:
    """A curve with its name, its points, and a band around it where `low` and `high` are given."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: str
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dash: str = "solid"
    shape: str = "linear"  # "hv": steps


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with its interval."""

    name: str
    value: float
    low: float
    high: float
    colour: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """A trial in a slice: the value of a hyperparameter, the objective, the trial's state and number."""

    x: float
    y: float
    state: State
    number: int


@dataclass(frozen=True, kw_only=True)
class MapPoint:
    """A trial on a plane of two hyperparameters, with its objective and a text that describes it."""

    x: float
    y: float
    value: float
    text: str


def colour(optimizer: str) -> str:
    """The optimizer's colour."""
    return OPTIMIZERS[optimizer].colour if optimizer in OPTIMIZERS else OTHER


def lines(found: Sequence[Line], x: str, y: str, log_y: bool = False, low: float | None = None) -> go.Figure:
    """Curves over a common axis, each with its band. The y axis is in percent unless it is logarithmic.

    `low` is where the y axis begins.
    """
    figure = go.Figure()
    for line in found:
        if line.low:
            figure.add_scatter(
                x=[*line.x, *reversed(line.x)], y=[*line.high, *reversed(line.low)], fill="toself", opacity=0.2,
                mode="lines", line={"width": 0}, fillcolor=line.colour, hoverinfo="skip", showlegend=False,
                legendgroup=line.name,
            )  # fmt: skip
        figure.add_scatter(
            x=list(line.x), y=list(line.y), name=line.name, mode="lines" if len(line.x) > 1 else "markers",
            line={"color": line.colour, "width": 2, "dash": line.dash, "shape": line.shape}, legendgroup=line.name,
            marker={"color": line.colour, "size": 9}, showlegend=True,
        )  # fmt: skip
    figure.update_yaxes(POWERS_OF_TEN if log_y else PERCENT)
    if low is not None:
        figure.update_yaxes(autorangeoptions={"minallowed": low})
    return styled(figure, x, y, log_y=log_y)


def dots(rows: Sequence[Interval], x: str, published: Mapping[str, float]) -> go.Figure:
    """A row for each interval, a dot with its whiskers; published figures are vertical lines with their names."""
    figure = go.Figure()
    for row in rows:
        figure.add_scatter(
            x=[row.value], y=[row.name], mode="markers", marker={"color": row.colour, "size": 11}, showlegend=False,
            name=row.name, error_x={
                "type": "data", "symmetric": False, "array": [row.high - row.value], "arrayminus": [row.value - row.low]
            },
        )  # fmt: skip
    for name, value in published.items():
        figure.add_vline(
            x=value, line_dash="dot", line_color=REFERENCE, annotation_text=name, annotation_position="top"
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=AXES_HEIGHT + ROW_HEIGHT * len(rows))
    return styled(figure, x, "")


def slice_of(points: Sequence[Point], x: str, space: Float, y: str, tint: str, low: float | None) -> go.Figure:
    """The objective against one hyperparameter, over the range that was searched, with a symbol for each state.

    `low` is where the y axis begins; trials below it are drawn there, as triangles.
    """
    figure = go.Figure()
    floor = 0.0 if low is None else low
    for state, symbol in SYMBOLS.items():
        of_state = [point for point in points if point.state == state]
        if of_state:
            figure.add_scatter(
                x=[p.x for p in of_state], y=[max(p.y, floor) for p in of_state], mode="markers", name=str(state),
                text=[f"trial {p.number}: {100 * p.y:.2f} %" for p in of_state], cliponaxis=False, showlegend=True,
                marker={
                    "color": tint, "size": 8, "opacity": 1 if state is State.COMPLETE else 0.5,
                    "symbol": [BELOW_AXIS if p.y < floor else symbol for p in of_state],
                },
            )  # fmt: skip
    if low is not None:
        figure.update_yaxes(range=[low, max(p.y for p in points) + 0.003])
    first, last = (math.log10(end) if space.log else end for end in (space.low, space.high))
    figure.update_xaxes(range=[first - 0.03 * (last - first), last + 0.03 * (last - first)])
    if space.log:
        figure.update_xaxes(POWERS_OF_TEN | {"dtick": _decades(space.low, space.high)})
    figure.update_yaxes(PERCENT)
    return styled(figure, x, y, log_x=space.log)


def with_warnings(figure: go.Figure, crossed: Sequence[Edge]) -> go.Figure:
    """The slice with a line at each end of its range at which the best trials sit, and an axis title that says so."""
    for edge in crossed:
        figure.add_vline(x=edge.bound, line_color=WARNING, line_width=2)
    if crossed:
        text = f"{crossed[0].name} (best at its {' and '.join(edge.end for edge in crossed)} end)"
        figure.update_xaxes(title={"text": text, "font": {"color": WARNING}})
    return figure


def bars(found: Mapping[str, Mapping[str, float]], x: str, tints: Mapping[str, str]) -> go.Figure:
    """Horizontal bars: for each name a value from 0 to 1 per label, the first label at the top."""
    figure = go.Figure()
    for name, values in found.items():
        figure.add_bar(
            x=list(values.values()), y=list(values), name=name, orientation="h", marker_color=tints[name],
            showlegend=True,
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(PERCENT | {"range": [0, 1]})
    return styled(figure, x, "")


def map_of(found: Mapping[str, Sequence[MapPoint]], x: str, y: str, z: str) -> go.Figure:
    """Trials as dots on a plane with logarithmic axes, coloured by their value, with a symbol for each group."""
    figure = go.Figure()
    values = [point.value for points in found.values() for point in points]
    scale = {"cmin": max(min(values), max(values) - 0.1), "cmax": max(values), "colorscale": "Viridis"}
    for index, (name, points) in enumerate(found.items()):
        marker: dict[str, Any] = {
            "color": [point.value for point in points], "symbol": GROUP_SYMBOLS[index % len(GROUP_SYMBOLS)], "size": 10,
            "showscale": index == 0, "colorbar": {"title": z, "tickformat": ".1~%"},
            "line": {"color": REFERENCE, "width": 1}, **scale,
        }  # fmt: skip
        figure.add_scatter(
            x=[point.x for point in points], y=[point.y for point in points],
            text=[f"{point.text}: {100 * point.value:.2f} %" for point in points], mode="markers", marker=marker,
            name=name, showlegend=True,
        )  # fmt: skip
    every = [point for points in found.values() for point in points]
    for update, values in (
        (figure.update_xaxes, [point.x for point in every]),
        (figure.update_yaxes, [point.y for point in every]),
    ):
        update(POWERS_OF_TEN | {"dtick": _decades(min(values), max(values))})
    return styled(figure, x, y, log_x=True, log_y=True)


def _decades(low: float, high: float) -> int:
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
