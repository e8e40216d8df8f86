"""The sections of the report that look into each arm's search: its space, importances, speed, pruning, luck."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from optbench.analysis import figures, pictures, remarks
from optbench.analysis.arms import Arm, dash, points
from optbench.analysis.edges import edges
from optbench.analysis.figures import Line, colour
from optbench.analysis.page import Section, table
from optbench.analysis.search import TARGETS, audit, diverged_share, incumbent, time_to_target
from optbench.definition import parse
from optbench.space import Float
from optbench.storage import TrialRecord, best_trials

DEPTH = 0.08  # of the slices' axis: what is further from the best would press the rest together


def spaces(arms: Sequence[Arm]) -> list[Section]:
    """The search of each arm: the objective against each hyperparameter, and whether its best sit at an edge."""
    found = []
    for arm in arms:
        crossed = edges(arm.source.study, arm.best)
        lost = sum(t.state == "diverged" for t in arm.source.trials)
        share = diverged_share(lost, arm.source.study.finished)
        ranges = any(isinstance(d, Float) for d in parse(arm.source.definition, arm.name).space.values())
        said = ["The best trials sit inside the space in every range."] if ranges and not crossed else []
        said.append(
            f"{lost} of {arm.source.study.finished} trials diverged"
            + (": more than 30 %, so the space should be another one." if share.too_many else ".")
        )
        least = (arm.best[0].value or 0) - DEPTH
        below = sum(t.last is not None and t.last < least for t in arm.source.trials)
        if below:
            said.append(f"{below} trials below {points(least)} % are drawn at the axis.")
        drawn = pictures.slices(arm.source.study, arm.source.trials, least)
        found.append(Section(f"The search of {arm.name}", said, drawn, warnings=[e.said for e in crossed], small=True))
    return found


def traces(arms: Sequence[Arm]) -> Section:
    """The best validation accuracy so far against the epochs consumed, pruned and diverged trials included."""
    found, said = [], []
    for arm in arms:
        ended = [t for t in arm.source.trials if t.state in ("complete", "pruned", "diverged") and t.hyperparameters]
        ended.sort(key=lambda t: (t.ended or datetime.max, t.number))
        epochs = np.cumsum([t.epochs for t in ended]).tolist()
        best = incumbent([np.nan if t.value is None else t.value for t in ended]).tolist()
        y = [None if np.isnan(b) else b for b in best]
        found.append(Line(arm.name, epochs, y, colour(arm.optimizer), dash=dash(arms, arm), shape="hv"))
        last = next(e for e, b in zip(epochs, best, strict=True) if b == best[-1])
        said.append(f"{arm.name}: its best, {points(best[-1])} %, was found after {last} of {epochs[-1]} epochs.")
    return Section("How the searches went", said, [figures.lines(found, "epochs consumed", "best validation accuracy")])


def rate_and_epsilon(arms: Sequence[Arm]) -> Section:
    """Every trial at its learning rate and epsilon, coloured by its accuracy."""
    found = {}
    for arm in arms:
        rows = [
            (
                t.params["learning_rate"],
                t.params["epsilon"],
                t.last,
                f"{arm.name}, trial {t.number}, {t.state}",
                t.value,
            )
            for t in arm.source.trials
            if t.last is not None and {"learning_rate", "epsilon"} <= t.params.keys()
        ]
        if rows:
            found[arm.name] = rows
    if not found:
        return Section("Learning rate and epsilon", ["No arm searches both."])
    said = [
        f"{name}: the best sits at learning_rate {x:.3g}, epsilon {y:.3g}." for name, (x, y) in _tops(found).items()
    ]
    return Section("Learning rate and epsilon", said, [figures.map_of(found, "learning_rate", "epsilon", "accuracy")])


def importance(arms: Sequence[Arm], importances: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Section:
    """How much each hyperparameter matters, by two methods."""
    said, drawn = [], []
    for arm in arms:
        found = importances.get(arm.name, {})
        if not found:
            said.append(f"{arm.name}: too few complete trials.")
            continue
        tops = {method: max(shares, key=lambda name, s=shares: s[name]) for method, shares in found.items()}  # type: ignore[misc]
        said.append(
            f"{arm.name}: " + ", ".join(f"{top} matters most by {method}" for method, top in tops.items()) + "."
        )
        tints = dict(zip(found, (colour(arm.optimizer), "#999999"), strict=False))
        drawn.append(figures.bars(found, f"importance, {arm.name}", tints))
    return Section("Importances", said, drawn, small=True)


def targets(arms: Sequence[Arm]) -> Section:
    """The first epoch at which each arm's best trial reaches a validation accuracy."""
    cells = []
    for arm in arms:
        curve = arm.source.curves[arm.best[0].trial_id]
        reached = time_to_target([e.validation_accuracy for e in curve])
        cells.append([arm.name, *("never" if epoch is None else str(epoch) for epoch in reached)])
    head = ["best trial of", *(f"{100 * target:g} %" for target in TARGETS)]
    return Section("Time to target", ["The first epoch with that validation accuracy."], tables=[table(head, cells)])


def audits(arms: Sequence[Arm]) -> Section:
    """What pruning cost and saved."""
    said = []
    for arm in arms:
        length = int(arm.source.definition["epochs"])
        pruned = [t for t in arm.source.trials if t.state == "pruned"]
        saved = sum(length - t.epochs for t in pruned)
        audited = [t for t in arm.source.trials if t.audit is not None and t.state in ("complete", "diverged")]
        rivals = [(t, _incumbent(arm.source.trials, t)) for t in audited]
        known = [(t.last or 0.0, best) for t, best in rivals if best is not None]
        text = f"{arm.name}: {len(pruned)} trials were pruned, which saved {saved} epochs"
        if known:
            found = audit([value for value, _ in known], [best for _, best in known])
            beaten = f"{100 * found.beaten:.0f} % of them [{100 * found.low:.0f}, {100 * found.high:.0f}]"
            text += (
                f"; {found.n} that it would have stopped were trained to their ends, and {beaten} beat the best so far,"
                f" by {found.regret:.2f} points at most"
            )
        else:
            text += "; none that it would have stopped was trained to its end, so its price is not known"
        said.append(text + ".")
    return Section("What pruning cost", said)


def luck(arms: Sequence[Arm]) -> list[Section]:
    """The spread over repeated searches, beside the spread over seeds."""
    said = [f"{text}." for arm in arms for text in remarks.luck(arm)]
    return [Section("Sampler luck", said)] if said else []


def _incumbent(trials: Sequence[TrialRecord], audited: TrialRecord) -> float | None:
    """The best value that was there when the trial ended."""
    end = audited.ended
    before = [t for t in best_trials(trials) if end and t.ended and t.ended <= end and t.number != audited.number]
    return before[0].value if before else None


def _tops(found: Mapping[str, Sequence[tuple[Any, ...]]]) -> dict[str, tuple[float, float]]:
    """Where the best complete trial of each arm sits."""
    return {name: max(rows, key=lambda row: -1.0 if row[4] is None else row[4])[:2] for name, rows in found.items()}
