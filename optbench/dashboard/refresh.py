"""What optuna-dashboard shows of a study beside its trials: attributes, a note, saved plots and artifacts."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import tomli_w

from optbench.dashboard import artifacts
from optbench.errors import StorageError
from optbench.storage import Storage, StudyRecord, TrialRecord, best_trials, curves, glance, one_line, shown, trials

VERDICT = "verdict"
OURS = "## About this study\n\n*optbench rewrites what stands below this heading; what is above it is yours.*\n"


def refresh(
    storage: Storage,
    study: StudyRecord,
    verdict: Sequence[str] | None = None,
    compared: Mapping[str, Any] | None = None,
) -> None:
    """Bring everything up to what the study's trials say now. Raises StorageError.

    `verdict` are the sentences of a comparison and `compared` its figures by name, both kept until the next one.
    """
    from optuna_dashboard import save_plotly_graph_object

    records = trials(storage, study.study_id)
    with one_line(storage.url):
        handle = optuna.load_study(study_name=study.name, storage=storage.optuna)
        for key, value in (glance(study) | ({} if verdict is None else {VERDICT: list(verdict)})).items():
            if handle.user_attrs.get(key) != value:
                handle.set_user_attr(key, value)
        _rewrite_note(storage, study, note(storage, study, records, handle.user_attrs.get(VERDICT, ())))
        for name, figure in (plots(storage, study, records) | dict(compared or {})).items():
            figure.update_layout(title=name.replace("-", " "), margin={"t": 60})
            save_plotly_graph_object(handle, figure, graph_object_id=name)
        try:
            artifacts.keep(storage, study, records)
        except OSError as problem:
            raise StorageError(f"{artifacts.folder(storage)} cannot be written: {problem.strerror}") from problem


def _rewrite_note(storage: Storage, study: StudyRecord, text: str) -> None:
    """Put our part below the heading. The note's version stays: a higher one would refuse what a person is writing."""
    from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

    held = get_note_from_system_attrs(storage.optuna.get_study_system_attrs(study.study_id), None)
    body = held["body"].partition(OURS)[0] + OURS + text
    if body != held["body"]:
        save_note_with_version(storage.optuna, study.study_id, None, held["version"], body)


def note(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord], verdict: Sequence[str]) -> str:
    """The study in words: summary, verdict, commands, definition. Markdown."""
    parts = [f"\n{study.finished} of {study.total} trials are finished, in {study.epochs} epochs ({study.state})."]
    if study.origin:
        parts.append(f"It confirms the best configurations of the study {study.origin}.")
    if not study.searches:
        parts.append(_settings(study, records))
    for trial in best_trials(records)[: int(study.searches)]:
        values = ", ".join(f"{name} = {value:.6g}" for name, value in trial.hyperparameters.items())
        parts.append(f"Best: {study.metric} {trial.value:.4f} in trial {trial.number}, with {values}.")
    if verdict:
        parts += ["\n### Verdict\n", *(f"- {sentence}" for sentence in verdict), ""]
    name, place = shlex.quote(study.name), shlex.quote(shown(storage.url))
    offered = [f"show {name}", *([f"export {name}", f"confirm {name}", f"compare {name}"] if study.best else [])]
    commands = [f"optbench {what} --storage {place}" for what in offered]
    parts += ["### Commands\n", "```sh\n" + "\n".join(commands) + "\n```", "### Definition\n"]
    return "\n".join([*parts, f"```toml\n{tomli_w.dumps(study.definition or {})}```", ""])


def _settings(study: StudyRecord, records: Sequence[TrialRecord]) -> str:
    """Each fixed setting beside the figure that was published. Markdown."""
    from optbench.analysis.baseline import by_label

    rows = [f"| setting | seeds | {study.metric} % | published % |", "| --- | --- | --- | --- |"]
    for setting in by_label(study.sweep, records):
        published = "-" if setting.published is None else f"{100 * setting.published:.2f}"
        rows.append(f"| {setting.label} | {setting.accuracy.n} | {100 * setting.accuracy.mean:.2f} | {published} |")
    return "\n" + "\n".join(rows) + "\n"


def plots(storage: Storage, study: StudyRecord, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """The saved plots by name, as far as there is something to plot."""
    from optbench.analysis import pictures

    found = {"learning-curves": pictures.learning_curves(study, records, curves(storage, study.study_id))}
    if study.searches:
        found |= {f"slice-{n}": figure for n, figure in enumerate(pictures.slices(study, records).values(), start=1)}
        found["best-of-k"] = pictures.budget_curve(study, records)
    return {name: figure for name, figure in found.items() if figure is not None}
