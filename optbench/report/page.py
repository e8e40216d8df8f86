"""The report: the comparison of the named studies as one page."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from optbench import __version__
from optbench.comparison.arms import Arm, Comparison, Source, percent
from optbench.comparison.rows import Row
from optbench.comparison.verdict import Pair
from optbench.definition.plain import toml
from optbench.report.budget_section import budgets
from optbench.report.model import Page, StudyDetails, Table
from optbench.report.render import render
from optbench.report.sections import sections
from optbench.report.speed_sections import traces
from optbench.report.stages_section import stages

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def report(comparison: Comparison, rows: Sequence[Row], pairs: Sequence[Pair], now: datetime | None = None) -> str:
    """The page as HTML; `now` is the date that is printed on it."""
    names = ", ".join(arm.name for arm in comparison.arms)
    return render(
        Page(
            title=f"optbench: {names}",
            facts=facts(comparison, now or datetime.now()),
            sections=sections(comparison, rows, pairs),
            notes=list(notes(comparison)),
            scores=scores(comparison),
            details=[details(source) for source in studies(comparison)],
        )
    )


def comparison_plots(comparison: Comparison, rows: Sequence[Row]) -> "dict[str, Figure]":
    """A few figures of a comparison for optuna-dashboard, by title; each study has figures of its own there."""
    shown = stages(comparison, rows), budgets(comparison.arms), traces(comparison.arms)
    return {section.title: section.figures[0].plot for section in shown if section.figures}


def facts(comparison: Comparison, now: datetime) -> dict[str, str]:
    """The facts at the top of the page: dates, processors, and how much was trained."""
    trials = [trial for source in studies(comparison) for trial in source.trials]
    confirming = [curve for arm in comparison.arms for one in arm.confirmed for curve in one.curves]
    ended = [trial.ended for trial in trials if trial.ended is not None]
    devices = sorted({trial.device for trial in trials if trial.device})
    raced = [own.study.finals for arm in comparison.arms for own in _sources(arm) if own.study.finals is not None]
    epochs = sum(trial.epochs for trial in trials) + sum(map(len, confirming)) + sum(one.epochs for one in raced)
    trainings = len(trials) + len(confirming) + sum(one.finished for one in raced)
    seconds = sum(trial.seconds for trial in trials) + sum(epoch.seconds for curve in confirming for epoch in curve)
    found = {
        "Date of this report": f"{now:%Y-%m-%d %H:%M}",
        "Last trial ended": f"{max(ended):%Y-%m-%d %H:%M}" if ended else "",
        "Processor": ", ".join(devices),
        "Trainings": f"{trainings:,}, of {epochs:,} epochs together",
        "Training time": _duration(seconds) + ", summed over trials that may have run side by side, without finals",
        "Made with": f"optbench {__version__}",
    }
    return {name: text for name, text in found.items() if text}


def studies(comparison: Comparison) -> list[Source]:
    """Every study that the page uses, each once: searches, their explorations, lists of fixed settings."""
    found: dict[int, Source] = {}
    for arm in comparison.arms:
        for source in _sources(arm):
            found.setdefault(source.study.study_id, source)
        if arm.explored is not None:
            found.setdefault(arm.explored.study.study_id, arm.explored)
    for source in comparison.fixed:
        found.setdefault(source.study.study_id, source)
    return list(found.values())


def _sources(arm: Arm) -> list[Source]:
    """The search of an arm, or all of its repeats."""
    return [one.source for one in arm.repeats or [arm]]


def notes(comparison: Comparison) -> Iterator[str]:
    """How often the test set was evaluated, and where each confirmed configuration was trained."""
    for name, count in sorted(comparison.test_evaluations.items()):
        yield f"Test-set evaluations of {name}: {count}."
    for arm in comparison.arms:
        for place, configuration in enumerate(arm.confirmed, start=1):
            yield (
                f"{arm.name}: trial {configuration.trial.number}, number {place} by validation accuracy, was confirmed "
                f"in {configuration.study} for {configuration.epochs} epochs."
            )


def scores(comparison: Comparison) -> list[Table]:
    """Every seed's score of every confirmed configuration, a column each; empty where nothing was confirmed."""
    found = {f"{arm.name}, trial {one.trial.number}": one.scores for arm in comparison.arms for one in arm.confirmed}
    seeds = sorted({seed for by_seed in found.values() for seed in by_seed})
    rows = [[str(seed), *(percent(s[seed]) if seed in s else "-" for s in found.values())] for seed in seeds]
    return [Table(caption="Test accuracy in percent by seed", head=["Seed", *found], rows=rows)] if rows else []


def details(source: Source) -> StudyDetails:
    """Versions, hashes of the data, and the definition of one study."""
    study = source.study
    hashes = {key: str(value) for key, value in study.fingerprint.items() if key.endswith("sha256")}
    return StudyDetails(
        name=study.name,
        facts={
            "Trials": f"{study.by_state}, of {study.total}",
            "Versions": ", ".join(f"{name} {number}" for name, number in study.versions.items()),
            **{_HASHES.get(key, key): value for key, value in hashes.items()},
        },
        definition=toml(source.sweep.definition()),
    )


_HASHES: Mapping[str, str] = {"data.sha256": "SHA-256 of the data", "split.sha256": "SHA-256 of the split"}


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
