"""Slices: the objective of every trial against one hyperparameter, with warnings where the range is too narrow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from optbench.definition.space import Float
from optbench.report.edges import Edge
from optbench.report.style import PERCENT, POWERS_OF_TEN, REFERENCE, WARNING, decades, styled
from optbench.scheduler.states import State

SYMBOLS = {State.COMPLETE: "circle", State.PRUNED: "x", State.DIVERGED: "square-open"}
BELOW_AXIS = "triangle-down"
LABEL_HEIGHT = 13  # pixels
LONGEST_LEVEL = 5  # characters of a value's name that is written without a slope
SIZES = 4, 9  # pixels of a trial that was pruned at once, and of one that was trained to its end
HEADROOM = 0.003  # between the best trial and the upper end of the axis


@dataclass(frozen=True, kw_only=True)
class Point:
    """A trial in a slice: the value of a hyperparameter, the objective, the trial's state and what it is called.

    `trained` is the fraction of the epochs that it was trained for.
    """

    x: float
    y: float
    state: State
    text: str
    trained: float


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value of the hyperparameter that has a name, for example Keras' default."""

    x: float
    name: str


def slice_of(
    points: Sequence[Point],
    best: Point | None,
    marks: Sequence[Mark],
    x: str,
    space: Float,
    y: str,
    tint: str,
    low: float | None,
) -> go.Figure:
    """The objective against one hyperparameter, over the range that was searched, with a symbol for each state.

    The `best` trial is a star; `marks` are dotted lines. `low` is where the y axis begins; trials below it are drawn
    there, as triangles.
    """
    figure = _trials(points, best, tint, low)
    for line, mark in enumerate(marks):
        figure.add_vline(x=mark.x, line_dash="dot", line_color=REFERENCE)
        place = math.log10(mark.x) if space.log else mark.x  # annotations on a logarithmic axis are placed by exponent
        figure.add_annotation(
            x=place, y=1, yref="paper", yanchor="bottom", yshift=LABEL_HEIGHT * line, showarrow=False, text=mark.name,
            font={"size": 11},
        )  # fmt: skip
    first, last = (math.log10(end) if space.log else end for end in (space.low, space.high))
    figure.update_xaxes(range=[first - 0.03 * (last - first), last + 0.03 * (last - first)])
    if space.log:
        figure.update_xaxes(POWERS_OF_TEN | {"dtick": decades(space.low, space.high)})
    return styled(figure, x, y, log_x=space.log)


def list_slice_of(
    points: Sequence[Point], best: Point | None, x: str, names: Sequence[str], y: str, tint: str, low: float | None
) -> go.Figure:
    """The objective against a hyperparameter with a list of values, as `slice_of` draws it.

    Points have the position of their value in the list, give or take a fraction, and `names` are the values in words.
    """
    figure = _trials(points, best, tint, low)
    slope = -30 if max(map(len, names)) > LONGEST_LEVEL else 0  # plotly's own choice drops the last of long names
    figure.update_xaxes(
        tickvals=list(range(len(names))), ticktext=list(names), range=[-0.5, len(names) - 0.5], tickangle=slope
    )
    return styled(figure, x, y)


def _trials(points: Sequence[Point], best: Point | None, tint: str, low: float | None) -> go.Figure:
    """The trials of a slice, and its y axis."""
    figure = go.Figure()
    floor = 0.0 if low is None else low
    for state, symbol in SYMBOLS.items():
        of_state = [point for point in points if point.state == state]
        if of_state:
            figure.add_scatter(
                x=[p.x for p in of_state], y=[max(p.y, floor) for p in of_state], mode="markers", name=str(state),
                text=[f"{p.text}: {100 * p.y:.2f} %" for p in of_state], hoverinfo="text", cliponaxis=False,
                showlegend=False, marker={
                    "color": tint, "size": [_size(p) for p in of_state],
                    "opacity": 1 if state is State.COMPLETE else 0.5,
                    "symbol": [BELOW_AXIS if p.y < floor else symbol for p in of_state],
                },
            )  # fmt: skip
    if best is not None:
        figure.add_scatter(
            x=[best.x], y=[max(best.y, floor)], mode="markers", name="best", hoverinfo="skip", showlegend=False,
            cliponaxis=False, marker={"symbol": "star-open", "size": 18, "color": REFERENCE, "line": {"width": 2}},
        )  # fmt: skip
    if low is not None:
        figure.update_yaxes(range=[low, max(p.y for p in points) + HEADROOM])
    figure.update_yaxes(PERCENT)
    return figure


def with_warnings(figure: go.Figure, crossed: Sequence[Edge]) -> go.Figure:
    """The slice with an axis title that says at which end the best trials sit, and in a range a line at that end."""
    for edge in crossed:
        if edge.proposal is not None:
            figure.add_vline(x=edge.bound, line_color=WARNING, line_width=2)
    if crossed:
        text = f"{crossed[0].name}<br>best trials at its {' and '.join(edge.end for edge in crossed)} end"
        figure.update_xaxes(title={"text": text, "font": {"color": WARNING}})
    return figure


def _size(point: Point) -> float:
    smallest, largest = SIZES
    return smallest + (largest - smallest) * point.trained
