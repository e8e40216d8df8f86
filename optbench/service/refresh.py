"""Brings up to date what optuna-dashboard shows of a study in addition to its trials: note, plots, artifacts."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import optuna

from optbench.comparison.selection import in_finals
from optbench.definition.plain import toml
from optbench.errors import StorageError
from optbench.optimizers.spelling import on_one_line
from optbench.scheduler.attributes import StudyAttribute
from optbench.scheduler.states import Role
from optbench.service import artifacts
from optbench.storage import Storage, StudyRecord, TrialRecord, best_first, curves, glance, one_line, shown, trials
from optbench.storage.about import About
from optbench.storage.notes import edit_note
from optbench.storage.optuna_private import save_plot, saved_plots, study_id_of
from optbench.storage.saved_plots import remove_plots

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# The heading of our part of a note. Notes of earlier versions have it, too, so its words must not change.
OURS = "## About this study\n\n*optbench rewrites what stands below this heading; what is above it is yours.*\n"
STUDY_PLOT = re.compile(r"\d\d-.*|learning-curves|slice-\d+|best-of-k")  # the last three are of earlier versions
COMPARISON_PLOT = re.compile(
    r"comparison-\d+-.*"
    r"|(from-default-to-tuned|learning-curves|what-a-budget-is-worth|how-the-searches-went|learning-rate-and-epsilon"
    r"|does-it-shrink-the-learning-rate)-\d+"  # of earlier versions
)


def refresh(
    storage: Storage,
    study: StudyRecord,
    verdict: Sequence[str] | None = None,
    compared: "Mapping[str, Figure] | None" = None,
) -> None:
    """Bring attributes, note, plots and artifacts up to date with the study's trials. Raises StorageError.

    `verdict` are the sentences of a comparison and `compared` its figures by title. They stay until others are given.
    """
    records = trials(storage, study.study_id)
    with one_line(storage.url):
        handle = optuna.load_study(study_name=study.name, storage=storage.optuna)
        held = handle.user_attrs
        wanted = dict(glance(study)) | ({} if verdict is None else {StudyAttribute.VERDICT: list(verdict)})
        for key, value in wanted.items():
            if held.get(key) != value:
                handle.set_user_attr(key, value)
        sentences = held.get(StudyAttribute.VERDICT, ()) if verdict is None else verdict
        text = note(storage, study, records, sentences)
        edit_note(storage, study.study_id, lambda held: held.partition(OURS)[0] + OURS + text)
        _rewrite_plots(storage, handle, plots(storage, study, records), compared)
        try:
            artifacts.keep(storage, study, records)
        except OSError as problem:
            raise StorageError(f"{artifacts.folder(storage)} cannot be written: {problem.strerror}") from problem


def _rewrite_plots(
    storage: Storage, handle: optuna.Study, own: "Mapping[str, Figure]", compared: "Mapping[str, Figure] | None"
) -> None:
    """Save the plots that changed, under names that sort in their order, and remove those that no longer exist."""
    held = saved_plots(storage.optuna, study_id_of(handle))
    wanted = _named(own, "{number:02d}-{name}", "{number}. {title}")
    ours = [name for name in held if STUDY_PLOT.fullmatch(name)]
    if compared is not None:
        wanted |= _named(compared, "comparison-{number}-{name}", "Comparison {number}. {title}")
        ours += [name for name in held if COMPARISON_PLOT.fullmatch(name)]
    for name, figure in wanted.items():
        if figure.to_json() != held.get(name):
            save_plot(handle, name, figure)
    remove_plots(storage, study_id_of(handle), [name for name in ours if name not in wanted])


def _named(figures: "Mapping[str, Figure]", name: str, title: str) -> "dict[str, Figure]":
    """The figures by the name they are saved under, each with its title."""
    found = {}
    for number, (text, figure) in enumerate(figures.items(), start=1):
        figure.update_layout(title=title.format(number=number, title=text), margin={"t": 60})
        words = "-".join(re.findall(r"[a-z0-9_]+", text.lower()))
        found[name.format(number=number, name=words)] = figure
    return found


def note(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord], verdict: Sequence[str]) -> str:
    """The study in words, as Markdown: summary, verdict, commands, definition."""
    parts = [f"\n{study.finished} of {study.total} trials are finished, in {study.epochs} epochs ({study.state})."]
    parts += _about(study.about)
    if study.origin:
        did = "chooses among" if study.role is Role.FINALS else "confirms"
        parts.append(f"It {did} the best configurations of the study {study.origin}.")
    if not study.searches:
        parts.append(_settings(study, records))
    for trial in best_first(study.finals, records)[: int(study.searches)]:
        parts.append(_best(study, trial))
    if verdict:
        parts += ["\n### Verdict\n", *(f"- {sentence}" for sentence in verdict), ""]
    name, place = shlex.quote(study.name), shlex.quote(shown(storage.url))
    offered = [f"show {name}", *([f"export {name}", f"confirm {name}", f"compare {name}"] if study.best else [])]
    commands = [f"optbench {command} --storage {place}" for command in offered]
    parts += ["### Commands\n", "```sh\n" + "\n".join(commands) + "\n```", "### Definition\n"]
    definition = study.sweep.definition() if study.sweep else {}
    return "\n".join([*parts, f"```toml\n{toml(definition)}```", ""])


def _about(about: About) -> list[str]:
    """Whose the study is, with its tags and its note, where it has any."""
    owner = f"It was made by {about.owner}." if about.owner else ""
    tags = f"Tags: {', '.join(about.tags)}." if about.tags else ""
    first = " ".join(filter(None, (owner, tags)))
    return [part for part in (first, about.note and f"\n> {' '.join(about.note.split())}\n") if part]


def _best(study: StudyRecord, trial: TrialRecord) -> str:
    """The best trial, its accuracy and what that rests on, as a sentence."""
    values = on_one_line(trial.optimizer, trial.hyperparameters, digits=6, between=", ")
    winner = study.finals.winner if study.finals else None
    if winner is None or winner.trial != trial.number:
        accuracy = f"{study.metric} {100 * (trial.value or 0):.2f} %"
        return f"Best: {accuracy} in trial {trial.number}, with {values}. It rests on one run."
    return f"Best: {in_finals(winner, study.metric)}, in trial {trial.number}, with {values}. It won the finals."


def _settings(study: StudyRecord, records: Sequence[TrialRecord]) -> str:
    """A table of the fixed settings with measured and published accuracies, as Markdown."""
    from optbench.comparison.baseline import by_label

    rows = [f"| setting | seeds | {study.metric} | published |", "| --- | --- | --- | --- |"]
    for setting in by_label(study.sweep, records):
        published = "-" if setting.published is None else f"{100 * setting.published:.2f} %"
        rows.append(f"| {setting.label} | {setting.accuracy.n} | {100 * setting.accuracy.mean:.2f} % | {published} |")
    return "\n" + "\n".join(rows) + "\n"


def plots(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> "dict[str, Figure]":
    """The study's plots by title, in the order in which they are shown, without those that would be empty."""
    from optbench.report import study_figures

    found = {"Learning curves": study_figures.learning_curves(study, records, curves(storage, study.study_id))}
    if study.searches:
        found["What a budget is worth"] = study_figures.budget_curve(study, records)
        slices = study_figures.slices(study, records)
        found |= {f"{study.metric.capitalize()} against {name}": figure for name, figure in slices.items()}
    return {title: figure for title, figure in found.items() if figure is not None}
