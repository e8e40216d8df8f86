"""The sections of the report on searches: their course, spaces, importances, speed, pruning and repeats."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from optbench.comparison import remarks
from optbench.comparison.arms import Arm, dash, percent
from optbench.definition.space import Float
from optbench.report import figures, study_figures
from optbench.report.edges import edges
from optbench.report.figures import Line, MapPoint, colour
from optbench.report.importance import importances
from optbench.report.model import Figure, Section, Table
from optbench.scheduler.states import State
from optbench.statistics.search import TARGETS, audit, diverged_fraction, incumbent, time_to_target
from optbench.storage import TrialRecord, best_trials
from optbench.storage.study_records import COUNTED

DEPTH = 0.08  # how far the accuracy axis reaches below the best trial, so that good trials can be distinguished


def spaces(arms: Sequence[Arm]) -> list[Section]:
    """The search of each arm: the objective against each hyperparameter, and whether the best trials sit at an edge."""
    return [_space(arm) for arm in arms]


def _space(arm: Arm) -> Section:
    study = arm.source.study
    crossed = edges(study, arm.best)
    diverged = sum(t.state is State.DIVERGED for t in arm.source.trials)
    too_many = diverged_fraction(diverged, study.finished).too_many
    ranges = any(isinstance(d, Float) for d in arm.source.sweep.space.values())
    text = ["The best trials lie inside the space in every range."] if ranges and not crossed else []
    text.append(f"{diverged} of {study.finished} trials diverged.")
    low = (arm.best[0].value or 0) - DEPTH
    below = sum(t.last is not None and t.last < low for t in arm.source.trials)
    if below:
        text.append(f"{below} trials below {percent(low)} % are drawn at the lower end of the axis.")
    return Section(
        title=f"The search of {arm.name}",
        text=text,
        warnings=[e.sentence for e in crossed]
        + ["More than 30 % of the trials diverged: search a smaller space."] * too_many,
        figures=[
            Figure(caption=f"{study.metric.capitalize()} of every trial against {name}", plot=plot)
            for name, plot in study_figures.slices(study, arm.source.trials, low).items()
        ],
        small=True,
    )


def traces(arms: Sequence[Arm]) -> Section:
    """The best validation accuracy so far against the epochs trained, pruned and diverged trials included."""
    lines, text = [], []
    for arm in arms:
        ended = [t for t in arm.source.trials if t.state in COUNTED and t.hyperparameters]
        ended.sort(key=lambda t: (t.ended or datetime.max, t.number))
        epochs = np.cumsum([t.epochs for t in ended]).tolist()
        best = incumbent([np.nan if t.value is None else t.value for t in ended]).tolist()
        y = [None if np.isnan(b) else b for b in best]
        kind = dash(arms, arm)
        lines.append(Line(name=arm.name, x=epochs, y=y, colour=colour(arm.optimizer), dash=kind, shape="hv"))
        last = next(e for e, b in zip(epochs, best, strict=True) if b == best[-1])
        text.append(f"{arm.name}: the best, {percent(best[-1])} %, was found after {last} of {epochs[-1]} epochs.")
    top = max((y for line in lines for y in line.y if y is not None), default=None)
    plot = figures.lines(lines, "epochs trained", "best validation accuracy", low=None if top is None else top - 0.1)
    caption = "Best validation accuracy so far, over the epochs trained by all trials together"
    return Section(title="How the searches went", text=text, figures=[Figure(caption=caption, plot=plot)])


def rate_and_epsilon(arms: Sequence[Arm]) -> Section | None:
    """Every trial at its learning rate and epsilon, coloured by its accuracy; None where no arm searches both."""
    found, text = {}, []
    for arm in arms:
        both = [t for t in arm.source.trials if t.last is not None and {"learning_rate", "epsilon"} <= t.params.keys()]
        if not both:
            continue
        found[arm.name] = [
            MapPoint(
                x=t.params["learning_rate"],
                y=t.params["epsilon"],
                value=t.last or 0.0,
                text=f"{arm.name}, trial {t.number}, {t.state}",
            )
            for t in both
        ]
        best = max(both, key=lambda t: -1.0 if t.value is None else t.value)
        rate, epsilon = best.params["learning_rate"], best.params["epsilon"]
        text.append(f"{arm.name}: the best trial has learning_rate {rate:.3g} and epsilon {epsilon:.3g}.")
    if not found:
        return None
    plot = figures.map_of(found, "learning_rate", "epsilon", "accuracy")
    caption = "Every trial at its learning rate and epsilon; the colour is its validation accuracy"
    return Section(title="Learning rate and epsilon", text=text, figures=[Figure(caption=caption, plot=plot)])


def importance(arms: Sequence[Arm]) -> Section:
    """How much each hyperparameter matters, by two methods, or why that is not known."""
    text, drawn = [], []
    for arm in arms:
        found = importances(arm.source.trials, arm.source.sweep.space)
        if found.reason:
            text.append(f"{arm.name}: {found.reason}.")
            continue
        methods: dict[str, list[str]] = {}
        for method, fractions in found.by_method.items():
            methods.setdefault(max(fractions.items(), key=lambda pair: pair[1])[0], []).append(method)
        leaders = ", ".join(f"{name} matters most by {' and '.join(by)}" for name, by in methods.items())
        text.append(f"{arm.name}: {leaders}{'; the methods disagree' if len(methods) > 1 else ''}.")
        tints = dict(zip(found.by_method, (colour(arm.optimizer), "#999999"), strict=False))
        caption = f"Importance of each hyperparameter of {arm.name}, by method"
        drawn.append(Figure(caption=caption, plot=figures.bars(found.by_method, "importance", tints)))
    return Section(title="Importances", text=text, figures=drawn, small=True)


def targets(arms: Sequence[Arm]) -> Section:
    """The first epoch at which each arm's best trial reaches a validation accuracy."""
    cells = []
    for arm in arms:
        curve = arm.source.curves[arm.best[0].trial_id]
        reached = time_to_target([e.validation_accuracy for e in curve])
        cells.append([arm.name, *("never" if epoch is None else str(epoch) for epoch in reached)])
    head = ["Best trial of", *(f"{100 * target:g} %" for target in TARGETS)]
    caption = "The first epoch whose validation accuracy reaches the target"
    return Section(title="Time to target", tables=[Table(caption=caption, head=head, rows=cells)])


def pruning(arms: Sequence[Arm]) -> Section | None:
    """What pruning saved and cost; None where nothing was pruned."""
    text = [_pruning(arm) for arm in arms if any(_would_be_pruned(trial) for trial in arm.source.trials)]
    return Section(title="What pruning cost", text=text) if text else None


def _would_be_pruned(trial: TrialRecord) -> bool:
    """Whether the trial was pruned, or would have been if it had not been audited."""
    return trial.state is State.PRUNED or trial.audit is not None


def _pruning(arm: Arm) -> str:
    trials = arm.source.trials
    pruned = [t for t in trials if t.state is State.PRUNED]
    saved = sum(arm.epochs - t.epochs for t in pruned)
    audited = [t for t in trials if t.audit is not None and t.state in (State.COMPLETE, State.DIVERGED)]
    rivals = [(t, _incumbent(trials, t)) for t in audited]
    known = [(t.last or 0.0, best) for t, best in rivals if best is not None]
    saving = f"{arm.name}: {len(pruned)} trials were pruned, which saved {saved} epochs"
    if not known:
        return f"{saving}. No trial that would have been pruned was trained to its end, so the cost is not known."
    found = audit([value for value, _ in known], [best for _, best in known])
    better = f"{100 * found.beaten:.0f} % of them [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    return (
        f"{saving}. To see the cost, {found.n} trials that would have been pruned were trained to their ends: {better} "
        f"beat the best so far, by at most {found.regret:.2f} percentage points."
    )


def repeats(arms: Sequence[Arm]) -> Section | None:
    """The spread over repeated searches, compared with the spread over seeds; None if no search was repeated."""
    text = [f"{sentence}." for arm in arms for sentence in remarks.between_searches(arm)]
    return Section(title="Between-search variance", text=text) if text else None


def _incumbent(trials: Sequence[TrialRecord], audited: TrialRecord) -> float | None:
    """The best value of another trial that had ended when this one did; None if there was none."""
    end = audited.ended
    before = [t for t in best_trials(trials) if end and t.ended and t.ended <= end and t.number != audited.number]
    return before[0].value if before else None
