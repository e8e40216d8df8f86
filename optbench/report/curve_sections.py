"""The sections of the report on curves: learning curves and effective learning rates."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from optbench.comparison.arms import Comparison, Source, is_default, is_paper, percent
from optbench.report import figures, study_figures
from optbench.report.figures import Line
from optbench.report.model import Figure, Section
from optbench.report.style import Scale, colour, tint
from optbench.scheduler.states import State
from optbench.statistics.search import growth
from optbench.storage import TrialRecord
from optbench.training.contract import Epoch

UNCHANGED = 1.05  # growth by a smaller factor is called no change


def learning(comparison: Comparison) -> Section:
    """The learning curves: validation errors of the searches' best trials, training errors of confirmed settings."""
    text, searched = [], []
    for arm in comparison.arms:
        best = arm.single_runs[0]
        curve = arm.source.curves[best.trial_id]
        ends = f"{percent(curve[0].objective)} % after one epoch and {percent(best.value or 0)} % after {best.epochs}"
        text.append(f"{arm.name}: the best single run of the search has a validation accuracy of {ends}.")
        searched.append(study_figures.line(arm.name, [curve], tint(comparison.arms, arm)))
    plot = figures.lines(searched, "epoch", "validation error, %", Scale.ERROR)
    found = [Figure(caption="Validation error of the best single run of each search, on a logarithmic axis", plot=plot)]
    trained = [*_confirmed(comparison), *_fixed(comparison)]
    if trained:
        caption = f"Training error on all training examples, on a logarithmic axis: {_key(trained)}"
        plot = figures.lines(trained, "epoch", "training error, %", Scale.ERROR)
        found.append(Figure(caption=caption, plot=plot))
    return Section(title="Learning curves", text=text, figures=found)


def _confirmed(comparison: Comparison) -> Iterator[Line]:
    """A line for each confirmed arm: the median over its seeds."""
    for arm in comparison.arms:
        for configuration in arm.confirmed[:1]:
            whole = [curve for curve in configuration.curves if len(curve) == configuration.epochs]
            if whole:
                yield study_figures.line(f"{arm.name}, confirmed", whole, tint(comparison.arms, arm))


def _fixed(comparison: Comparison) -> Iterator[Line]:
    """A line for each fixed setting: those of lists of fixed trials, and the known settings in confirmations."""
    for one in _settings(comparison):
        yield study_figures.line(one.label, one.curves, colour(one.optimizer), one.dash)


def _key(drawn: Sequence[Line]) -> str:
    """What the marks mean that are drawn."""
    dashes = {line.dash for line in drawn}
    parts = ["the median over seeds" + (" with a band from min to max" if any(line.low for line in drawn) else "")]
    parts += ["dotted for Keras' defaults"] * ("dot" in dashes)
    parts += ["dashed for other fixed settings"] * ("dash" in dashes)
    return ", ".join(parts)


@dataclass
class _Rates:
    """Collects the lines and sentences of the section on effective learning rates."""

    lines: list[Line] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def add(self, name: str, curves: Sequence[Sequence[Epoch]], tint: str, kind: str = "solid") -> bool:
        """Add a line and a sentence on these curves; False where their rates were not recorded."""
        whole = [
            [e.effective_lr for e in curve]
            for curve in curves
            if curve and all(e.effective_lr is not None for e in curve)
        ]
        length = min(map(len, whole), default=0)
        if not length:
            return False
        rate = np.median(np.array([row[:length] for row in whole], dtype=float), axis=0).tolist()
        distances = [curve[-1].weight_distance for curve in curves if curve and curve[-1].weight_distance is not None]
        moved = f"; the weights moved by {np.median(distances):.3g} (L2 norm)" if distances else ""
        epochs = list(range(1, length + 1))
        self.lines.append(Line(name=name, x=epochs, y=rate, colour=tint, dash=kind))
        self.text.append(f"{name}: {_growth(rate)}{moved}.")
        return True


def effective_learning_rates(comparison: Comparison) -> Section:
    """The median effective learning rate over the epochs and, beside the baseline, whether the article is right."""
    found = _Rates()
    for one in _settings(comparison):
        added = found.add(one.label, one.curves, colour(one.optimizer), one.dash)
        if added and one.optimizer == "adadelta" and one.default and _repeats_article(comparison):
            found.text.append(_articles_reason(found.lines[-1].y))
    for arm in comparison.arms:
        curves = list(arm.confirmed[0].curves) if arm.confirmed else [arm.source.curves[arm.best[0].trial_id]]
        found.add(f"{arm.name}, tuned", curves, tint(comparison.arms, arm))
    title = "Effective learning rate"
    if not found.lines:
        return Section(title=title, text=["No effective learning rates were recorded."])
    found.text.insert(
        0,
        "The effective learning rate is the factor by which a weight's gradient is multiplied, for example "
        "learning_rate / sqrt(v) in Adam. It is therefore much larger than learning_rate where gradients are small.",
    )
    caption = "Median effective learning rate of all weights over the epochs, on a logarithmic axis"
    plot = figures.lines(found.lines, "epoch", "median effective learning rate", Scale.POWERS)
    return Section(title=title, text=found.text, figures=[Figure(caption=caption, plot=plot)])


def _repeats_article(comparison: Comparison) -> bool:
    """Whether a list of fixed trials among the studies has published accuracies."""
    return any(setting.published is not None for source in comparison.fixed for setting, _ in source.settings)


def _articles_reason(rate: Sequence[float | None]) -> str:
    """A sentence on whether the article's reason holds: "I think because it shrinks the learning rate"."""
    factor = growth(rate)
    if math.isnan(factor):
        return "One epoch does not show whether the learning rate shrinks."
    verdict = "holds" if factor < 1 / UNCHANGED else "does not hold"
    return (
        f"The article's reason, \"because it shrinks the learning rate\", {verdict} for AdaDelta with Keras' defaults: "
        f"over the epochs its median effective learning rate {_change(factor)} ({rate[0]:.2g} to {rate[-1]:.2g})."
    )


def _growth(curve: Sequence[float]) -> str:
    factor = growth(curve)
    if math.isnan(factor):
        return f"the median effective learning rate is {curve[0]:.3g}"
    ends = f"({curve[0]:.2g} to {curve[-1]:.2g}) over {len(curve)} epochs"
    return f"the median effective learning rate {_change(factor)} {ends}"


def _change(factor: float) -> str:
    if 1 / UNCHANGED <= factor <= UNCHANGED:
        return "did not change"
    return f"grew {factor:.2g}-fold" if factor > 1 else f"shrank {1 / factor:.2g}-fold"


@dataclass(frozen=True)
class _Setting:
    """A fixed setting with its whole learning curves; `default` is whether it is Keras' default."""

    label: str
    optimizer: str
    curves: Sequence[list[Epoch]]
    default: bool

    @property
    def dash(self) -> str:
        """Dotted for Keras' defaults, else dashed."""
        return "dot" if self.default else "dash"


def _settings(comparison: Comparison) -> Iterator[_Setting]:
    """The settings of lists of fixed trials, then the arms' known settings that only confirmations have."""
    fixed = [trial for source in comparison.fixed for _, trial in source.settings]
    for source in comparison.fixed:
        for setting, trial in source.settings:
            if curves := _curves((source, t) for t in source.trials if t.label == trial.label):
                yield _Setting(setting.label, trial.optimizer, curves, is_default(trial))
    for optimizer in dict.fromkeys(arm.optimizer for arm in comparison.arms):
        for wanted, words in ((is_default, "Keras' defaults"), (is_paper, "the paper's setting")):
            if any(trial.optimizer == optimizer and wanted(trial) for trial in fixed):
                continue
            trained = ((source, trial) for source in comparison.tested for trial in source.trials)
            own = _curves((s, t) for s, t in trained if t.optimizer == optimizer and wanted(t))
            lengths = Counter(map(len, own))
            if own:
                usual = lengths.most_common(1)[0][0]
                whole = [curve for curve in own if len(curve) == usual]
                yield _Setting(f"{optimizer}, {words}", optimizer, whole, wanted is is_default)


def _curves(found: Iterable[tuple[Source, TrialRecord]]) -> list[list[Epoch]]:
    """The learning curves of those trials that are complete."""
    return [s.curves[t.trial_id] for s, t in found if t.state is State.COMPLETE and t.trial_id in s.curves]
