"""Figures of a study's trials, made from their records; None where there is nothing to show yet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optbench.comparison.arms import explores
from optbench.definition.space import Float
from optbench.report.edges import edges
from optbench.report.figures import Line, Point, colour, lines, with_warnings
from optbench.report.figures import slice_of as slice_figure
from optbench.scheduler.states import State, StudyState
from optbench.statistics.budget import band_of_k, best_of_k_unbiased, largest_k, median_of_k
from optbench.storage import StudyRecord, TrialRecord, best_trials
from optbench.storage.study_records import COUNTED
from optbench.training.contract import Epoch

TOP = 5  # how many of the best trials have their learning curves drawn
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def learning_curves(study: StudyRecord, records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]]) -> Any:
    """The learning curves of the best trials of a search, or of each fixed setting as the median over its seeds.

    They show validation accuracy, or training accuracy where nothing is validated.
    """
    found = _of_best(records, curves) if study.searches else _of_settings(records, curves)
    validated = study.sweep is not None and study.sweep.data.validation > 0
    return lines(found, "epoch", f"{'validation' if validated else 'training'} accuracy") if found else None


def _of_best(records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]]) -> list[Line]:
    trained = [trial for trial in best_trials(records) if trial.trial_id in curves]
    return [
        line(
            f"trial {trial.number}: {100 * (trial.value or 0):.2f} %",
            [curves[trial.trial_id]],
            trial.optimizer,
            DASHES[rank],
        )
        for rank, trial in enumerate(trained[:TOP])
    ]


def _of_settings(records: Sequence[TrialRecord], curves: Mapping[int, list[Epoch]]) -> list[Line]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in records:
        if trial.state is State.COMPLETE and trial.trial_id in curves:
            groups.setdefault(trial.label or f"trial {trial.number}", []).append(trial)
    found: list[Line] = []
    drawn: Counter[str] = Counter()  # lines of one optimizer have one colour, and differ in their dashes
    for label, group in groups.items():
        optimizer = group[0].optimizer
        dash = DASHES[drawn[optimizer] % len(DASHES)]
        drawn[optimizer] += 1
        found.append(line(label, [curves[trial.trial_id] for trial in group], optimizer, dash))
    return found


def slices(study: StudyRecord, records: Sequence[TrialRecord], low: float | None = None) -> dict[str, Any]:
    """The objective against each hyperparameter that was searched, by the hyperparameter's name.

    A red axis warns where the best trials sit at an end of the range. `low` is where the objective's axis begins.
    """
    space = study.sweep.space if study.sweep else {}
    crossed = edges(study, best_trials(records))
    shown = [r for r in records if r.state in COUNTED and r.last is not None]
    drawn = {}
    for name, dimension in space.items():
        points = [
            Point(x=r.params[name], y=r.last or 0.0, state=r.state, number=r.number) for r in shown if name in r.params
        ]
        if points and isinstance(dimension, Float):
            figure = slice_figure(points, name, dimension, study.metric, colour(study.optimizer), low)
            drawn[name] = with_warnings(figure, [edge for edge in crossed if edge.name == name])
    return drawn


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


def line(name: str, found: Sequence[Sequence[Epoch]], optimizer: str, dash: str) -> Line:
    """The median of several curves, with the band between their minimum and maximum."""
    length = min(len(curve) for curve in found)
    values = np.array([[epoch.objective for epoch in curve[:length]] for curve in found])
    several = len(found) > 1
    return Line(
        name=name,
        x=list(range(1, length + 1)),
        y=np.median(values, axis=0).tolist(),
        colour=colour(optimizer),
        low=values.min(axis=0).tolist() if several else (),
        high=values.max(axis=0).tolist() if several else (),
        dash=dash,
    )
