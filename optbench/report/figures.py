"""Curves, bars and maps as Plotly graph objects of plain lists, for the report and for optuna-dashboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from optbench.report.style import PERCENT, POWERS_OF_TEN, REFERENCE, Scale, decades, error_axis, styled

MAP_SCALE = [[0.0, "#8073AC"], [0.5, "#35B0AB"], [1.0, "#E08214"]]  # every colour is visible on white and on black
MAP_DEPTH = 0.1  # how far the colours reach below the best accuracy


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
    width: float = 2


@dataclass(frozen=True, kw_only=True)
class MapPoint:
    """A trial on a plane of two hyperparameters, with its objective and a text that describes it."""

    x: float
    y: float
    value: float
    text: str


def lines(
    found: Sequence[Line], x: str, y: str, scale: Scale = Scale.PERCENT, behind: Sequence[Line] = ()
) -> go.Figure:
    """Curves over a common axis, each with its band; those `behind` are thin and faint, and not in the legend.

    On the scale of errors, accuracies are drawn as errors in percent. An error of 0 is drawn at half of the smallest
    other one, because a logarithmic axis has no 0.
    """
    figure = go.Figure()
    if scale is Scale.ERROR:
        every = _errors([*behind, *found])
        floor = min((error for error in every if error > 0), default=1.0) / 2
        behind, found = ([_as_error(line, floor) for line in group] for group in (behind, found))
        figure.update_yaxes(error_axis([max(error, floor) for error in every]))
    else:
        figure.update_yaxes(POWERS_OF_TEN if scale is Scale.POWERS else PERCENT)
    for line in behind:
        _add(figure, line, faint=True)
    for line in found:
        _add(figure, line)
    return styled(figure, x, y, log_y=scale is not Scale.PERCENT)


def _add(figure: go.Figure, line: Line, faint: bool = False) -> None:
    if line.low:
        figure.add_scatter(
            x=[*line.x, *reversed(line.x)], y=[*line.high, *reversed(line.low)], fill="toself", opacity=0.2,
            mode="lines", line={"width": 0}, fillcolor=line.colour, hoverinfo="skip", showlegend=False,
            legendgroup=line.name,
        )  # fmt: skip
    figure.add_scatter(
        x=list(line.x), y=list(line.y), name=line.name, mode="lines" if len(line.x) > 1 else "markers",
        line={"color": line.colour, "width": line.width, "dash": line.dash, "shape": line.shape},
        legendgroup=line.name, marker={"color": line.colour, "size": 9}, showlegend=not faint,
        opacity=0.3 if faint else 1, hoverinfo="skip" if faint else None,
    )  # fmt: skip


def _errors(found: Sequence[Line]) -> list[float]:
    return [100 * (1 - y) for line in found for y in (*line.y, *line.low, *line.high) if y is not None]


def _as_error(line: Line, floor: float) -> Line:
    def errors(accuracies: Sequence[float | None]) -> list[float | None]:
        return [None if value is None else max(100 * (1 - value), floor) for value in accuracies]

    low, high = ([error for error in errors(side) if error is not None] for side in (line.high, line.low))
    return replace(line, y=errors(line.y), low=low, high=high)


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


def map_of(points: Sequence[MapPoint], best: MapPoint, x: str, y: str, z: str) -> go.Figure:
    """Trials as dots on a plane with logarithmic axes, coloured by their value; a star is the best one."""
    figure = go.Figure()
    top = max(point.value for point in points)
    figure.add_scatter(
        x=[point.x for point in points], y=[point.y for point in points], mode="markers", hoverinfo="text",
        text=[f"{point.text}: {100 * point.value:.2f} %" for point in points], showlegend=False,
        marker={
            "color": [point.value for point in points], "size": 10, "line": {"color": REFERENCE, "width": 1},
            "colorbar": {"title": z, "tickformat": ".1~%"}, "colorscale": MAP_SCALE,
            "cmin": max(min(point.value for point in points), top - MAP_DEPTH), "cmax": top,
        },
    )  # fmt: skip
    figure.add_scatter(
        x=[best.x], y=[best.y], mode="markers", hoverinfo="skip", showlegend=False,
        marker={"symbol": "star-open", "size": 20, "color": REFERENCE, "line": {"width": 2}},
    )  # fmt: skip
    for update, values in ((figure.update_xaxes, [p.x for p in points]), (figure.update_yaxes, [p.y for p in points])):
        update(POWERS_OF_TEN | {"dtick": decades(min(values), max(values))})
    return styled(figure, x, y, log_x=True, log_y=True)
