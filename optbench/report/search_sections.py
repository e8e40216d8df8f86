"""The sections of the report on searches: spaces, importances, pruning and repeats."""

from collections.abc import Sequence

from optbench.comparison import remarks
from optbench.comparison.arms import Arm, percent
from optbench.definition.space import Float
from optbench.report import figures, study_figures
from optbench.report.edges import edges
from optbench.report.figures import MapPoint
from optbench.report.importance import importances
from optbench.report.model import Figure, Section
from optbench.report.style import REFERENCE, tint
from optbench.scheduler.states import State
from optbench.statistics.search import audit, diverged_fraction
from optbench.storage import TrialRecord, best_trials, winner_first
from optbench.storage.study_records import COUNTED

DEPTH = 0.08  # how far the accuracy axis reaches below the best trial, so that good trials can be distinguished
KEY = {
    State.COMPLETE: "complete trials are dots",
    State.PRUNED: "pruned ones crosses",
    State.DIVERGED: "diverged ones squares",
}


def spaces(arms: Sequence[Arm]) -> list[Section]:
    """The search of each arm: the objective against each hyperparameter, and whether the best trials sit at an edge."""
    return [_space(arms, arm) for arm in arms]


def _space(arms: Sequence[Arm], arm: Arm) -> Section:
    study, trials = arm.source.study, arm.source.trials
    crossed = edges(study, winner_first(study.finals, trials))
    diverged = sum(t.state is State.DIVERGED for t in trials)
    too_many = diverged_fraction(diverged, study.finished).too_many
    ranges = any(isinstance(d, Float) for d in arm.source.sweep.space.values())
    text = ["The best trials lie inside the space in every range."] if ranges and not crossed else []
    text.append(f"{diverged} of {study.finished} trials diverged.")
    low = (arm.single_runs[0].value or 0) - DEPTH
    slices = study_figures.slices(study, trials, low)
    if slices:
        text.append(_key(trials, low))
    curves = study_figures.every_curve(study, trials, arm.source.curves, tint(arms, arm), "validation error, %")
    if curves is not None:
        curves.update_layout(showlegend=False)
    caption = (
        f"Validation error of every trial of {arm.name} over the epochs; the best {study_figures.TOP} are in colour"
    )
    return Section(
        title=f"The search of {arm.name}",
        text=text,
        warnings=[e.sentence for e in crossed]
        + ["More than 30 % of the trials diverged: search a smaller space."] * too_many,
        figures=[
            *(
                Figure(caption=f"{study.metric.capitalize()} of every trial against {name}", plot=plot)
                for name, plot in slices.items()
            ),
            *([Figure(caption=caption, plot=curves)] if curves is not None else []),
        ],
        small=True,
    )


def _key(trials: Sequence[TrialRecord], low: float) -> str:
    """What the symbols of the slices mean, as far as they are drawn."""
    states = {trial.state for trial in trials if trial.last is not None}
    parts = [words for state, words in KEY.items() if state in states]
    below = sum(t.last is not None and t.last < low and t.state in COUNTED for t in trials)
    if below:
        parts.append(f"and triangles at the end of the axis stand for {below} trials below {percent(low)} %")
    return (
        f"In the figures, {', '.join(parts)}. Symbols are smaller the sooner a trial ended; the star is the best trial."
    )


def rate_and_epsilon(arms: Sequence[Arm]) -> Section | None:
    """Every trial at its learning rate and epsilon, coloured by its accuracy; None where no arm searches both."""
    drawn, text = [], []
    for arm in arms:
        both = [t for t in arm.source.trials if t.last is not None and {"learning_rate", "epsilon"} <= t.params.keys()]
        if not both:
            continue
        best = next((trial for trial in arm.best if trial.params.keys() >= {"learning_rate", "epsilon"}), None)
        if best is None:
            continue
        points = [_map_point(trial) for trial in both]
        plot = figures.map_of(points, _map_point(best), "learning_rate", "epsilon", "accuracy")
        caption = f"Every trial of {arm.name}: the colour is its validation accuracy, the star marks the best"
        drawn.append(Figure(caption=caption, plot=plot))
        rate, epsilon = best.params["learning_rate"], best.params["epsilon"]
        text.append(f"{arm.name}: the best trial has learning_rate {rate:.3g} and epsilon {epsilon:.3g}.")
    return Section(title="Learning rate and epsilon", text=text, figures=drawn, small=True) if drawn else None


def _map_point(trial: TrialRecord) -> MapPoint:
    return MapPoint(
        x=trial.params["learning_rate"],
        y=trial.params["epsilon"],
        value=trial.last or 0.0,
        text=f"trial {trial.number}, {trial.state}",
    )


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
        text.append(f"{arm.name}: {leaders}{', so that is not settled' if len(methods) > 1 else ''}.")
        tints = dict(zip(found.by_method, (tint(arms, arm), REFERENCE), strict=False))
        caption = f"Importance of each hyperparameter of {arm.name}, by method"
        drawn.append(Figure(caption=caption, plot=figures.bars(found.by_method, "importance", tints)))
    return Section(title="Importances", text=text, figures=drawn, small=True)


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
