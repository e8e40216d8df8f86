"""Figures of studies, as plotly graph objects of plain lists: for the report and for optuna-dashboard alike.

One colour per optimizer everywhere, from Okabe and Ito's palette, which colour-blind people can tell apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from optbench.analysis.edges import Edge
from optbench.optimizers import OPTIMIZERS
from optbench.space import Float

OTHER = "#9A8B00"
WARNING, REFERENCE = "#D6303F", "#888888"  # seen on white and on black
SYMBOLS = {"complete": "circle", "pruned": "x", "diverged": "triangle-down"}
MARKS = ("circle", "diamond", "square", "cross")


@dataclass(frozen=True)
class Line:
    """A curve with its name, its points, and a band around it where there is one; dashed lines are references."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    colour: str
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dash: str = "solid"
    shape: str = "linear"  # "hv": steps


@dataclass(frozen=True)
class Point:
    """A trial in a slice: a hyperparameter's value, the objective, the trial's state and number."""

    x: float
    y: float
    state: str
    number: int


def colour(optimizer: str) -> str:
    """The optimizer's colour."""
    return OPTIMIZERS[optimizer].colour if optimizer in OPTIMIZERS else OTHER


def lines(found: Sequence[Line], x: str, y: str, log_y: bool = False) -> go.Figure:
    """Curves over a common axis, each with its band."""
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
            marker={"color": line.colour, "size": 9},
        )  # fmt: skip
    return dressed(figure, x, y, log_y=log_y)


def dots(rows: Sequence[tuple[str, float, float, float, str]], x: str, marks: Mapping[str, float]) -> go.Figure:
    """Rows (name, value, low, high, colour) as dots with intervals; `marks` are published figures: vertical lines."""
    figure = go.Figure()
    for name, value, low, high, tint in rows:
        figure.add_scatter(
            x=[value], y=[name], mode="markers", marker={"color": tint, "size": 11}, showlegend=False, name=name,
            error_x={"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low]},
        )  # fmt: skip
    for name, value in marks.items():
        figure.add_vline(
            x=value, line_dash="dot", line_color=REFERENCE, annotation_text=name, annotation_position="top"
        )
    figure.update_yaxes(autorange="reversed")
    return dressed(figure, x, "")


def slice_of(points: Sequence[Point], x: str, space: Float, y: str, tint: str, least: float | None) -> go.Figure:
    """The objective against one hyperparameter, over the range that was searched; pruned and diverged trials have
    symbols of their own.

    `least` is the lower end of the axis, at which what lies below is drawn.
    """
    figure = go.Figure()
    for state, symbol in SYMBOLS.items():
        of_state = [point for point in points if point.state == state]
        if of_state:
            figure.add_scatter(
                x=[p.x for p in of_state], y=[max(p.y, least or 0.0) for p in of_state], mode="markers", name=state,
                text=[f"trial {p.number}: {p.y:.4f}" for p in of_state], cliponaxis=False,
                marker={"color": tint, "symbol": symbol, "size": 8, "opacity": 1 if state == "complete" else 0.5},
            )  # fmt: skip
    if least is not None:
        figure.update_yaxes(range=[least, max(p.y for p in points) + 0.003])
    low, high = (math.log10(end) if space.log else end for end in (space.low, space.high))
    figure.update_xaxes(range=[low - 0.03 * (high - low), high + 0.03 * (high - low)])
    if space.log:
        figure.update_xaxes(dtick=max(1, math.ceil((high - low) / 5)), exponentformat="power")
    return dressed(figure, x, y, log_x=space.log)


def warned(figure: go.Figure, crossed: Sequence[Edge]) -> go.Figure:
    """A slice with lines at the ends of its axis at which the best trials sit, and a title that says so."""
    for edge in crossed:
        figure.add_vline(x=edge.bound, line_color=WARNING, line_width=2)
    if crossed:
        text = f"{crossed[0].name}: the best are at its {' and '.join(edge.end for edge in crossed)} end"
        figure.update_xaxes(title={"text": text, "font": {"color": WARNING}})
    return figure


def bars(found: Mapping[str, Mapping[str, float]], y: str, tints: Mapping[str, str]) -> go.Figure:
    """Groups of bars: for each name a value per label."""
    figure = go.Figure()
    for name, values in found.items():
        figure.add_bar(x=list(values), y=list(values.values()), name=name, marker_color=tints[name])
    return dressed(figure, "", y)


def map_of(found: Mapping[str, Sequence[tuple[Any, ...]]], x: str, y: str, z: str) -> go.Figure:
    """Trials as dots at (x, y), coloured by their value; one symbol per group."""
    figure = go.Figure()
    values = [row[2] for rows in found.values() for row in rows]
    ends = {"cmin": max(min(values), max(values) - 0.1), "cmax": max(values), "colorscale": "Cividis"}
    for index, (name, rows) in enumerate(found.items()):
        marker: dict[str, Any] = {
            "color": [row[2] for row in rows], "symbol": MARKS[index % len(MARKS)], "size": 10, "showscale": index == 0,
            "colorbar": {"title": z}, "line": {"color": REFERENCE, "width": 1}, **ends,
        }  # fmt: skip
        figure.add_scatter(
            x=[row[0] for row in rows], y=[row[1] for row in rows], text=[row[3] for row in rows], mode="markers",
            marker=marker, name=name,
        )  # fmt: skip
    return dressed(figure, x, y, log_x=True, log_y=True)


def dressed(
    figure: go.Figure, x: str | None = None, y: str | None = None, log_x: bool = False, log_y: bool = False
) -> go.Figure:
    """The figure with titles on its axes and the look of all of them."""
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(gridcolor="rgba(136,136,136,0.25)", zerolinecolor="rgba(136,136,136,0.25)")
    if x is not None:
        figure.update_xaxes(title=x, type="log" if log_x else None)
    if y is not None:
        figure.update_yaxes(title=y, type="log" if log_y else None)
    figure.update_layout(
        template="plotly_white", height=440, margin={"l": 60, "r": 20, "t": 30, "b": 50}, paper_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"}, plot_bgcolor="rgba(0,0,0,0)",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"}, font={"color": REFERENCE},
    )  # fmt: skip
    return figure
