"""Studies as tables: a list of studies, a line about one, and the settings of a list of fixed trials."""

from collections.abc import Sequence

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import NOTHING, optimism, percent, score
from optbench.comparison.selection import in_finals, mean_in_percent
from optbench.exports.records import Listed, state_of
from optbench.optimizers.spelling import on_one_line
from optbench.scheduler.finals import Finalist
from optbench.storage import StudyRecord, TrialRecord
from optbench.storage.candidates import Candidate


def counts(study: StudyRecord, place: Candidate | None = None) -> str:
    """One line about the study's trials; `place` is its place in the queue."""
    total = f"{study.finished}/{study.total or '?'} trials, {state_of(study, place)} ({study.by_state or 'none yet'})"
    return f"study {study.name}: {total}; {study.epochs} epochs"


def best(study: StudyRecord, trial: TrialRecord) -> str:
    """One line about the best trial."""
    winner = study.finals.winner if study.finals else None
    settings = on_one_line(trial.optimizer, trial.hyperparameters)
    if winner is None or winner.trial != trial.number:
        value = score(study.metric, trial.value)
        return f"best: {study.metric} {value} in trial {trial.number}: {settings}"
    return f"best: {in_finals(winner, study.metric)}, in trial {trial.number}: {settings}"


def fixed(study: StudyRecord, records: Sequence[TrialRecord]) -> Fitted:
    """One row per fixed setting: its mean over the seeds, and its difference from the published accuracy."""
    from optbench.comparison.baseline import by_label  # loads scipy, which takes half a second

    found = by_label(study.sweep, records)
    accuracies = [setting.accuracy for setting in found]
    columns = [
        Column("setting", [setting.label for setting in found], text=True),
        Column("seeds", [str(a.n) for a in accuracies], rank=2),
        Column(f"{study.metric} %", [percent(a.mean) for a in accuracies]),
        Column("SD", [percent(a.deviation) if a.n > 1 else NOTHING for a in accuracies], rank=3),
        Column("95 % interval", [f"±{percent(a.margin)}" if a.n > 1 else NOTHING for a in accuracies], rank=1),
    ]
    if any(setting.published is not None for setting in found):
        differences = [NOTHING if s.difference is None else f"{s.difference:+.2f}" for s in found]
        columns += [
            Column("published %", [percent(setting.published) for setting in found], rank=2),
            Column("difference, percentage points", differences, rank=1),
        ]
    return Fitted(columns)


def studies(found: Sequence[Listed]) -> Fitted:
    """One row per study. A narrow terminal shows the most important columns, and names the omitted ones."""
    records = [study for study, _ in found]
    changed = [s.changed.strftime("%m-%d %H:%M") if s.changed else NOTHING for s in records]
    columns = [
        Column("study", [s.name for s in records], text=True),
        Column("state", [state_of(study, place) for study, place in found]),
        Column("trials", [f"{s.finished}/{s.total or '?'}" for s in records]),
        Column("best", [_best(s) for s in records]),
        Column("rests on", [_basis(s) for s in records], rank=1),
        *_optimism([s.finals.winner if s.finals else None for s in records]),
        Column("optimizer", [s.optimizer for s in records], rank=2, text=True),
        *_whose(records),
        Column("by state", [s.by_state or NOTHING for s in records], rank=3, text=True),
        Column("epochs", [str(s.epochs) for s in records], rank=4),
        Column("sweep", [s.sweep.name if s.sweep else NOTHING for s in records], rank=7, text=True),
        Column("changed (UTC)", changed, rank=6),
    ]
    return Fitted(columns)


def _whose(records: Sequence[StudyRecord]) -> list[Column]:
    """Owners where there are several, and tags where there are any."""
    owners, tags = [s.about.owner or NOTHING for s in records], [", ".join(s.about.tags) for s in records]
    found = [Column("owner", owners, rank=8, text=True)] if len(set(owners)) > 1 else []
    return found + ([Column("tags", [one or NOTHING for one in tags], rank=5, text=True)] if any(tags) else [])


def _optimism(winners: Sequence[Finalist | None]) -> list[Column]:
    """The column that compares winners of finals with their single runs; none where no study has such a winner."""
    return [Column("single run - mean", [optimism(one) for one in winners], rank=5)] if any(winners) else []


def _best(study: StudyRecord) -> str:
    """The study's best value; the mean over fresh seeds with its interval where finals chose it."""
    winner = study.finals.winner if study.finals else None
    return score(study.metric, study.best) if winner is None else mean_in_percent(winner, " %")


def _basis(study: StudyRecord) -> str:
    """How many trainings the study's best value is the mean of."""
    if study.best is None:
        return NOTHING
    winner = study.finals.winner if study.finals else None
    return "1 run" if winner is None else f"{len(winner.scores)} seeds"
