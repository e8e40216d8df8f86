"""How records look on a terminal, and as JSON with stable keys."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import tomli_w
from rich.table import Table
from rich.text import Text

from optbench.cli.progress import settings
from optbench.replay import Replay
from optbench.storage import StudyRecord, TrialRecord, best_trials

if TYPE_CHECKING:
    from optbench.analysis.verdict import Row


def counts(study: StudyRecord) -> str:
    """One line on the study's trials."""
    total = f"{study.finished}/{study.total} trials, {study.state} ({study.by_state or 'none yet'})"
    return f"study {study.name}: {total}; {study.epochs} epochs"


def best(study: StudyRecord, trial: TrialRecord) -> str:
    """One line on the best trial."""
    return f"best: {study.metric} {trial.value:.4f} in trial {trial.number}: {settings(trial.hyperparameters)}"


def fixed(study: StudyRecord, records: Sequence[TrialRecord]) -> Table:
    """Each fixed setting's mean over its seeds, beside what was published."""
    from optbench.analysis.baseline import by_label  # loads scipy.stats, which takes a second

    settings = by_label(study.definition or {"trial": []}, records)
    compared = any(setting.published is not None for setting in settings)
    columns = ["published %", "difference, points"] if compared else []
    table = _table("setting", "seeds", f"{study.metric} %", "SD", "95 % interval", *columns)
    for setting in settings:
        a = setting.accuracy
        spread = [f"{100 * a.deviation:.2f}", f"+-{100 * a.margin:.2f}"] if a.n > 1 else ["-", "-"]
        published = ["-", "-"] if compared else []
        if setting.published is not None and setting.difference is not None:
            published = [f"{100 * setting.published:.2f}", f"{setting.difference:+.2f}"]
        table.add_row(Text(setting.label), str(a.n), f"{100 * a.mean:.2f}", *spread, *published)
    return table


def studies(records: Sequence[StudyRecord], width: int) -> Table:
    """One row a study; on a narrow terminal, the columns that say most."""
    columns = "study", "state", "trials", "best", "optimizer", "by state", "epochs", "sweep", "changed (UTC)"
    shown = next((count for count, least in ((4, 60), (5, 100), (7, 140)) if width < least), len(columns))
    table = _table(*columns[:shown])
    for s in records:
        last = s.changed.strftime("%m-%d %H:%M") if s.changed else "-"
        trained = f"{s.finished}/{s.total or '?'}", _number(s.best), s.optimizer, s.by_state, str(s.epochs)
        cells = Text(s.name), s.state, *trained, Text((s.definition or {}).get("name", "-")), last
        table.add_row(*cells[:shown])
    return table


def ranked(study: StudyRecord, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Complete trials by value; by number where there is none, or where nothing is selected."""
    return (study.searches and best_trials(records)) or list(records)


def show(study: StudyRecord, records: Sequence[TrialRecord], top: int) -> Iterator[Any]:
    """A study's definition and versions, and last, next to the prompt, its counts and its best trials."""
    shown = ranked(study, records)[:top]
    if study.definition is not None:
        yield Text(tomli_w.dumps(study.definition))
    yield Text("versions: " + ", ".join(f"{name} {number}" for name, number in study.versions.items()))
    yield Text(counts(study))
    if not study.searches:
        yield fixed(study, records)
    names = list(dict.fromkeys(name for record in shown for name in record.hyperparameters))
    labels = any(record.label for record in shown)
    several = len({record.optimizer for record in shown}) > 1
    more = [*(["optimizer"] if several else []), *names, *(["label"] if labels else [])]
    table = _table("trial", study.metric, "state", "epochs", "seed", *more)
    for r in shown:
        values = [_number(r.hyperparameters.get(name), ".6g") for name in names]
        label = [Text(r.label or "")] if labels else []
        optimizer = [r.optimizer] if several else []
        table.add_row(str(r.number), _number(r.value), r.state, str(r.epochs), str(r.seed), *optimizer, *values, *label)
    yield table


def curves(result: Replay) -> Table:
    """Both curves side by side."""
    table = _table("epoch", "train acc.", "again", "validation acc.", "again", "difference")
    for old, new in zip(result.before, result.after, strict=True):
        cells = [old.train_accuracy, new.train_accuracy, old.validation_accuracy, new.validation_accuracy]
        table.add_row(str(old.epoch), *(_number(cell, ".6f") for cell in cells), f"{result.difference(old, new):.6f}")
    return table


def verdict(result: Replay) -> str:
    """Whether the replay agrees, and how closely it had to."""
    allowed = f"to {result.tolerance}" if result.tolerance else "exactly"
    tested = f", test accuracy {result.tested[0]:.4f} and {result.tested[1]:.4f}" if result.tested else ""
    return f"{'same' if result.same else 'DIFFERENT'}: {len(result.before)} epochs compared {allowed}{tested}"


def arms(rows: "Sequence[Row]") -> Table:
    """One row an arm, from default over paper to tuned, as test accuracies in percent."""
    from optbench.analysis.arms import points
    from optbench.analysis.verdict import interval

    table = _table("arm", "trials", "epochs", "best validation %", "default %", "paper %", "tuned %", "seeds")
    for row in rows:
        tuned = row.tuned
        cells = [interval(row.default), interval(row.paper), interval(tuned), str(tuned.n) if tuned else "-"]
        best = points(row.arm.trial.value or 0)
        table.add_row(Text(row.arm.name), str(row.arm.trials), str(row.arm.consumed), best, *cells)
    return table


def replay_json(result: Replay) -> dict[str, Any]:
    """The replay as plain data."""
    return {
        "same": result.same,
        "tolerance": result.tolerance,
        "epochs": [{"before": vars(a), "after": vars(b)} for a, b in zip(result.before, result.after, strict=True)],
        "test_accuracy": None if result.tested is None else {"before": result.tested[0], "after": result.tested[1]},
    }


def study_json(study: StudyRecord) -> dict[str, Any]:
    """The study as plain data."""
    return {
        "name": study.name,
        "sweep": (study.definition or {}).get("name"),
        "optimizer": study.optimizer,
        "state": study.state,
        "total": study.total,
        "trials": dict(study.counts),
        "metric": study.metric,
        "best": study.best,
        "epochs": study.epochs,
        "changed": study.changed.isoformat() + "Z" if study.changed else None,
        "definition": study.definition,
        "fingerprint": study.fingerprint,
        "versions": study.versions,
    }


def show_json(study: StudyRecord, records: Sequence[TrialRecord], top: int = 10) -> dict[str, Any]:
    """The study with its best trials as plain data, and with the settings of a list of fixed trials."""
    shown = {"top": [trial_json(trial) for trial in ranked(study, records)[:top]]}
    if not study.searches:
        from optbench.analysis.baseline import by_label

        shown["settings"] = [asdict(setting) for setting in by_label(study.definition or {"trial": []}, records)]
    return study_json(study) | shown


def trial_json(trial: TrialRecord) -> dict[str, Any]:
    """The trial as plain data."""
    plain = {key: value for key, value in vars(trial).items() if key != "trial_id"}
    return plain | {"started": _iso(trial.started), "ended": _iso(trial.ended)}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold" if column in ("study", "label", "setting") else "ellipsis")
    return table


def _number(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else format(value, form)
