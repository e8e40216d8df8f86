"""The sections of the report that look at curves: learning, and the effective learning rate."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optbench.analysis import figures, pictures
from optbench.analysis.arms import Comparison, Source, dash, is_default, points
from optbench.analysis.figures import Line, colour
from optbench.analysis.page import Section
from optbench.analysis.search import growth
from optbench.storage import TrialRecord

CHANGE = 1.05  # a smaller factor is called no change


def learning(comparison: Comparison) -> Section:
    """Training accuracy over the epochs where all images are trained on, the search's validation accuracy elsewhere."""
    found, articles = [], []
    for source in comparison.fixed:
        for setting, trial in source.settings:
            curves = _of(source, trial.label)
            if not curves:
                continue
            found.append(pictures.line(setting.label, curves, trial.optimizer, _kind(trial)))
            if setting.published is not None:
                name = f"article: test accuracy, {trial.optimizer}"
                articles.append(Line(name, [len(curves[0])], [setting.published], colour(trial.optimizer)))
    said = []
    for arm in comparison.arms:
        best = arm.best[0]
        curve = arm.source.curves[best.trial_id]
        ends = f"{points(curve[0].objective)} % after one epoch, {points(best.value or 0)} % after {best.epochs}"
        said.append(f"{arm.name}: the best trial of the search reached a validation accuracy of {ends}.")
        if arm.confirmed:
            whole = [c for c in arm.confirmed[0].curves if len(c) == arm.confirmed[0].epochs]
            kind = dash(comparison.arms, arm)
            found.append(pictures.line(f"{arm.name}, confirmed", whole or [curve], arm.optimizer, kind))
        else:
            line = pictures.line(f"{arm.name}, best of the search (validation)", [curve], arm.optimizer, "longdashdot")
            found.append(line)
    said.append(
        "Training accuracy, median and range over seeds; dotted: Keras' defaults; dashed: other fixed settings; dots: "
        "what was published."
    )
    return Section("Learning curves", said, [figures.lines([*found, *articles], "epoch", "accuracy")])


def rates(comparison: Comparison) -> Section:
    """The median effective learning rate over the epochs: does it shrink, as the article thinks."""
    found: list[Line] = []
    said: list[str] = []
    for source in comparison.fixed:
        for setting, trial in source.settings:
            added = _add(found, said, setting.label, _of(source, trial.label), trial.optimizer, _kind(trial))
            if added and trial.optimizer == "adadelta" and is_default(trial):
                said.append(_reason(found[-1].y))
    for arm in comparison.arms:
        curves = list(arm.confirmed[0].curves) if arm.confirmed else [arm.source.curves[arm.best[0].trial_id]]
        _add(found, said, f"{arm.name}, tuned", curves, arm.optimizer, dash(comparison.arms, arm))
    drawn = [figures.lines(found, "epoch", "median effective learning rate", log_y=True)] if found else []
    return Section("Does it shrink the learning rate?", said or ["Nothing was recorded."], drawn)


def _add(found: list[Line], said: list[str], name: str, curves: Sequence[Any], optimizer: str, kind: str) -> bool:
    """A line and a sentence on the rates of these curves; False where they were not recorded."""
    whole = [
        [e.effective_lr for e in curve] for curve in curves if curve and all(e.effective_lr is not None for e in curve)
    ]
    length = min(map(len, whole), default=0)
    if not length:
        return False
    rate = np.median(np.array([row[:length] for row in whole], dtype=float), axis=0).tolist()
    moved = [curve[-1].weight_distance for curve in curves if curve and curve[-1].weight_distance is not None]
    found.append(Line(name, list(range(1, length + 1)), rate, colour(optimizer), dash=kind))
    said.append(f"{name}: {_grew(rate)}; the weights moved {np.median(moved):.3g} from their start.")
    return True


def _reason(rate: Sequence[Any]) -> str:
    """Whether the article's reason holds: "I think because it shrinks the learning rate"."""
    factor = growth(rate)
    if math.isnan(factor):
        return "Whether the learning rate shrinks cannot be said from one epoch."
    return (
        f'The reason "because it shrinks the learning rate" {"holds" if factor < 1 / CHANGE else "does not hold"} for '
        f"AdaDelta with the defaults of Keras: over the epochs it {_way(factor)}. It was {rate[0]:.2g} after the first "
        f"epoch and {rate[-1]:.2g} after the last."
    )


def _grew(curve: Sequence[float]) -> str:
    factor = growth(curve)
    if math.isnan(factor):
        return f"the median effective learning rate is {curve[0]:.3g}"
    ends = f"from {curve[0]:.3g} to {curve[-1]:.3g}, over {len(curve)} epochs"
    return f"the median effective learning rate {_way(factor)}, {ends}"


def _way(factor: float) -> str:
    if 1 / CHANGE <= factor <= CHANGE:
        return f"stayed as it was (x {factor:.3g})"
    return f"{'grew' if factor > 1 else 'shrank'} x {factor:.3g}"


def _kind(trial: TrialRecord) -> str:
    """How a fixed setting's line is drawn."""
    return "dot" if is_default(trial) else "dash"


def _of(source: Source, label: str | None) -> list[Any]:
    complete = [t for t in source.trials if t.label == label and t.state == "complete"]
    return [source.curves[t.trial_id] for t in complete if t.trial_id in source.curves]
