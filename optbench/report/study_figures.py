"""Figures of a study's trials, made from their records; None where there is nothing to show yet."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from optbench.comparison.arms import explores
from optbench.definition.space import Choice, Dimension, Float
from optbench.errors import counted
from optbench.optimizers import ONE_MINUS, OPTIMIZERS
from optbench.report.edges import edges
from optbench.report.figures import Line, lines
from optbench.report.slice_figures import Mark, Point, list_slice_of, slice_of, with_warnings
from optbench.report.style import REFERENCE, Scale, colour, shade
from optbench.scheduler.states import State, StudyState
from optbench.statistics.budget import band_of_k, best_of_k_unbiased, largest_k, median_of_k
from optbench.storage import StudyRecord, TrialRecord, winner_first
from optbench.storage.study_records import COUNTED
from optbench.training.contract import Epoch

TOP = 5  # how many of the best trials have their learning curves drawn
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def learning_curves(study: StudyRecord, records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]]) -> Any:
    """The learning curves of a search, the best trials in front, or of each fixed setting as the median over its seeds.

    They show validation errors, or training errors where nothing is validated.
    """
    validated = study.sweep is not None and study.sweep.data.validation > 0
    axis = f"{'validation' if validated else 'training'} error, %"
    if study.searches:
        return every_curve(study, records, curves, colour(study.optimizer), axis)
    found = _of_settings(records, curves)
    return lines(found, "epoch", axis, Scale.ERROR) if found else None


def every_curve(
    study: StudyRecord, records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]], tint: str, axis: str
) -> Any:
    """The curve of every trial, with the best ones in front; None where no trial has one."""
    counted = [trial for trial in records if trial.state in COUNTED and trial.trial_id in curves]
    best = [trial for trial in winner_first(study.finals, records) if trial.trial_id in curves][:TOP]
    front = [
        line(f"trial {t.number}: {100 * (t.value or 0):.2f} %", [curves[t.trial_id]], shade(tint, rank))
        for rank, t in enumerate(best)
    ]
    behind = _joined([curves[t.trial_id] for t in counted if t not in best])
    return lines(front, "epoch", axis, Scale.ERROR, behind) if front else None


def _joined(found: Sequence[Sequence[Epoch]]) -> list[Line]:
    """All of the curves as one line with gaps, which takes less room on the page than a line for each."""
    x: list[float] = []
    y: list[float | None] = []
    for curve in found:
        x += [*(float(epoch.epoch) for epoch in curve), float(curve[-1].epoch)]
        y += [*(epoch.objective for epoch in curve), None]
    return [Line(name="other trials", x=x, y=y, colour=REFERENCE, width=1)] if x else []


def _of_settings(records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]]) -> list[Line]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in records:
        if trial.state is State.COMPLETE and trial.trial_id in curves:
            groups.setdefault(trial.label or f"trial {trial.number}", []).append(trial)
    found: list[Line] = []
    drawn: Counter[str] = Counter()  # lines of one optimizer have shades of one colour, and differ in their dashes
    for label, group in groups.items():
        optimizer = group[0].optimizer
        index = drawn[optimizer]
        drawn[optimizer] += 1
        own = [curves[trial.trial_id] for trial in group]
        found.append(line(label, own, shade(colour(optimizer), index), DASHES[index % len(DASHES)]))
    return found


def slices(study: StudyRecord, records: Sequence[TrialRecord], low: float | None = None) -> dict[str, Any]:
    """The objective against each hyperparameter that was searched, by the hyperparameter's name.

    A red axis warns where the best trials sit at an end of the range or list. The objective's axis begins at `low`.
    """
    space, epochs = (study.sweep.space, study.sweep.epochs) if study.sweep else ({}, 1)
    ranked = winner_first(study.finals, records)
    crossed = edges(study, ranked)
    shown = [r for r in records if r.state in COUNTED and r.last is not None]
    drawn = {}
    for name, dimension in space.items():
        own = [r for r in shown if name in r.params]
        best = next((r for r in ranked if name in r.params), None)
        if own and (isinstance(dimension, Float) or len(dimension.values) > 1):
            figure = _slice(study, name, dimension, own, best, epochs, low)
            drawn[name] = with_warnings(figure, [edge for edge in crossed if edge.name == name])
    return drawn


def _slice(
    study: StudyRecord,
    name: str,
    dimension: Dimension,
    records: Sequence[TrialRecord],
    best: TrialRecord | None,
    epochs: int,
    low: float | None,
) -> Any:
    """The slice of one hyperparameter."""
    tint = colour(study.optimizer)
    if isinstance(dimension, Choice):
        values = sorted(dimension.values)
        places = {r.number: values.index(r.params[name]) + _aside(r.number) for r in records}
        points = [_point(r, places[r.number], epochs) for r in records]
        star = None if best is None else _point(best, values.index(best.params[name]) + _aside(best.number), epochs)
        known = OPTIMIZERS[study.optimizer].hyperparameters[name.removeprefix(ONE_MINUS)]
        names = [str(w).lower() if isinstance(w := known.written(v), bool | str) else f"{w:g}" for v in values]
        return list_slice_of(points, star, name, names, study.metric, tint, low)
    points = [_point(r, r.params[name], epochs) for r in records]
    star = None if best is None else _point(best, best.params[name], epochs)
    marks = list(_marks(study.optimizer, name, dimension))
    return slice_of(points, star, marks, name, dimension, study.metric, tint, low)


def _aside(number: int) -> float:
    """How far from its value a trial is drawn, so that those of one value do not cover each other: -0.3 to 0.3."""
    return 0.6 * (number * 0.618034 % 1 - 0.5)


def _point(trial: TrialRecord, x: float, epochs: int) -> Point:
    ended = f", {trial.state} after {counted(trial.epochs, 'epoch')}" if trial.state is not State.COMPLETE else ""
    return Point(
        x=x,
        y=trial.last or 0.0,
        state=trial.state,
        text=f"trial {trial.number}{ended}",
        trained=min(1.0, trial.epochs / epochs),
    )


def _marks(optimizer: str, name: str, dimension: Float) -> Iterator[Mark]:
    """Keras' default of a hyperparameter, and the value of the optimizer's paper, where they lie in the range."""
    known = OPTIMIZERS[optimizer]
    named = {"default": known.defaults, "paper": None if known.paper is None else known.complete(known.paper)}
    found: dict[float, str] = {}
    for label, values in named.items():
        if values is None:
            continue
        own = values[name.removeprefix(ONE_MINUS)]
        value = round(1 - own, 12) if name.startswith(ONE_MINUS) else own
        if value in dimension:
            found[value] = f"{found[value]}, {label}" if value in found else label
    return (Mark(x=value, name=label) for value, label in found.items())


def budget_curve(study: StudyRecord, records: Sequence[TrialRecord]) -> Any:
    """How good the best of k draws is, where the study's trials are independent draws that ran to their ends."""
    values = [r.last for r in records if r.last is not None and r.state in (State.COMPLETE, State.DIVERGED)]
    if not explores(study) or study.state is not StudyState.DONE or not values:
        return None
    found = budget_lines("", values, colour(study.optimizer))
    return lines(found, "draws", study.metric) if found else None


def budget_lines(prefix: str, values: Sequence[float], tint: str) -> list[Line]:
    """Mean and median of the best of k draws, the median with its band, for every k for which the band is defined."""
    k = list(range(1, largest_k(len(values)) + 1))
    if len(k) < 2:
        return []
    low, high = band_of_k(values, k)
    mean, median = best_of_k_unbiased(values, k).tolist(), median_of_k(values, k).tolist()
    return [
        Line(name=f"{prefix}mean", x=k, y=mean, colour=tint, dash="dot"),
        Line(name=f"{prefix}median", x=k, y=median, colour=tint, low=low.tolist(), high=high.tolist()),
    ]


def line(name: str, found: Sequence[Sequence[Epoch]], tint: str, dash: str = "solid") -> Line:
    """The median of several curves, with the band between their minimum and maximum."""
    length = min(len(curve) for curve in found)
    values = np.array([[epoch.objective for epoch in curve[:length]] for curve in found])
    several = len(found) > 1
    return Line(
        name=name,
        x=list(range(1, length + 1)),
        y=np.median(values, axis=0).tolist(),
        colour=tint,
        low=values.min(axis=0).tolist() if several else (),
        high=values.max(axis=0).tolist() if several else (),
        dash=dash,
    )
