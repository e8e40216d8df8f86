"""What `optbench show` prints: a study's best, running and failed trials, its workers and its definition."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from optbench.cli.tables.finals import finals, one_run
from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.studies import counts, fixed
from optbench.cli.tables.words import NOTHING, duration, hyperparameter, is_accuracy, percent, score
from optbench.data.dataset import Facts
from optbench.definition.plain import toml
from optbench.exports.records import LOST, ranked
from optbench.optimizers import ONE_MINUS
from optbench.optimizers.spelling import spelled
from optbench.scheduler.states import STOPPED, State
from optbench.storage import StudyRecord, TrialRecord, WorkerRecord
from optbench.storage.about import About
from optbench.storage.candidates import Candidate

RECENT = 10  # of how many ended trials the speed is taken


def show(
    study: StudyRecord,
    records: Sequence[TrialRecord],
    top: int,
    workers: Sequence[WorkerRecord] = (),
    place: Candidate | None = None,
) -> Iterator[RenderableType]:
    """What `optbench show` prints: trials first, then the study's definition and versions."""
    yield Text(counts(study, place))
    if not study.searches and study.sweep is not None:
        yield fixed(study, records)
    running = [record for record in records if record.state == State.RUNNING]
    finished = [record for record in records if record.state not in (*LOST, State.RUNNING)]
    yield from finals(study)
    yield from _best(study, ranked(study, finished)[:top])
    yield from one_run(study)
    yield from _workers(workers, running)
    yield from _running(study, running)
    if running and (left := seconds_left(study, records, datetime.now())) is not None:
        yield Text(f"at most about {duration(left)} to go")
    yield from _lost([record for record in records if record.state in LOST], top)
    yield from _about(study.about)
    if study.sweep is not None:
        yield from _data(study.facts)
        yield Text("\ndefinition", style="bold")
        yield Text(toml(study.sweep.definition()))
    if study.versions:
        yield Text("versions: " + ", ".join(f"{name} {number}" for name, number in study.versions.items()))


def _about(about: About) -> Iterator[RenderableType]:
    """Whose the study is, its tags and its note, where it has any."""
    parts = [about.owner and f"made by {about.owner}", ", ".join(f"#{tag}" for tag in about.tags), about.note]
    if any(parts):
        yield Text("\n" + "; ".join(filter(None, parts)))


def _data(facts: Facts | None) -> Iterator[RenderableType]:
    """What the study knows of its data: sizes, and the names of the classes, the first ten of many."""
    if facts is None:
        return
    names, shape = ", ".join(facts.classes[:10]), "x".join(map(str, facts.shape))
    more = f" and {len(facts.classes) - 10} more" if len(facts.classes) > 10 else ""
    yield Text("\ndata", style="bold")
    yield Text(f"{facts.examples:,} examples of shape {shape} in {len(facts.classes)} classes: {names}{more}")


def _best(study: StudyRecord, shown: Sequence[TrialRecord]) -> Iterator[RenderableType]:
    """The trials with their hyperparameters. Hyperparameters that all trials share are in one line below."""
    if not shown:
        return
    values = [named_hyperparameters(record) for record in shown]
    names = list(dict.fromkeys(name for hparams in values for name in hparams))
    searched = {name for record in shown for name in record.params}
    same = [name for name in names if name not in searched and len({hparams.get(name) for hparams in values}) == 1]
    columns = [
        Column("trial", [str(r.number) for r in shown]),
        _values(study.metric, [r.value for r in shown]),
        Column("state", [r.state for r in shown], rank=2),
        Column("epochs", [str(r.epochs) for r in shown], rank=3),
        Column("seed", [hyperparameter(r.seed) for r in shown], rank=4),
    ]
    if len({record.optimizer for record in shown}) > 1:
        columns.append(Column("optimizer", [r.optimizer for r in shown]))
    columns += [
        Column(name, [hyperparameter(hparams.get(name)) for hparams in values]) for name in names if name not in same
    ]
    if any(record.label for record in shown):
        columns.append(Column("label", [r.label or "" for r in shown], rank=1, text=True))
    yield Fitted(columns)
    if same:
        alike = ", ".join(f"{name} = {hyperparameter(values[0][name])}" for name in same)
        yield Text(f"the same in all of them: {alike}", style="dim")


def _workers(workers: Sequence[WorkerRecord], running: Sequence[TrialRecord]) -> Iterator[RenderableType]:
    """The study's workers, each with the age of its heartbeat and the number of its running trials."""
    if not workers:
        return
    busy = Counter(record.worker for record in running)
    yield Text("\nworkers", style="bold")
    yield Fitted(
        [
            Column("worker", [worker.name for worker in workers], text=True),
            Column("state", ["alive" if worker.alive else "dead" for worker in workers]),
            Column("last heartbeat", [_heartbeat(worker.heartbeat_age) for worker in workers], rank=2),
            Column("running trials", [str(busy[worker.name]) for worker in workers], rank=1),
            Column("process", [str(worker.process) for worker in workers], rank=3),
        ]
    )


def _running(study: StudyRecord, running: Sequence[TrialRecord]) -> Iterator[RenderableType]:
    """The running trials, each with its progress and its worker."""
    if not running:
        return
    total, now = study.sweep.epochs if study.sweep else "?", datetime.now()
    yield Text("\nrunning trials", style="bold")
    columns = [
        Column("trial", [str(r.number) for r in running]),
        Column("epochs", [f"{r.epochs}/{total}" for r in running]),
        Column("last " + ("accuracy %" if is_accuracy(study.metric) else "value"), _last(study, running), rank=1),
        Column("for", [_since(r.started, now) for r in running], rank=2),
        Column("worker", [r.worker or "another program" for r in running], rank=3, text=True),
    ]
    yield Fitted(columns)


def seconds_left(study: StudyRecord, records: Sequence[TrialRecord], now: datetime) -> float | None:
    """About how many seconds the study still needs if nothing is pruned any more; None while that cannot be known.

    The speed is that of the running trials and of those that ended last.
    """
    ended = sorted((r for r in records if r.ended is not None and r.started is not None), key=lambda r: r.ended or now)
    recent = [*ended[-RECENT:], *(r for r in records if r.state is State.RUNNING and r.started is not None)]
    trained = sum(record.epochs for record in recent)
    if study.sweep is None or study.total is None or not ended or not trained:
        return None
    running = sum(record.epochs for record in recent if record.state is State.RUNNING)
    remaining = (study.total - study.finished) * study.sweep.epochs - running
    since = min(record.started for record in recent if record.started is not None)
    return max(0, remaining) * (now - since).total_seconds() / trained


def _last(study: StudyRecord, records: Sequence[TrialRecord]) -> list[str]:
    return [percent(r.last) if is_accuracy(study.metric) else score(study.metric, r.last) for r in records]


def _since(time: datetime | None, now: datetime) -> str:
    return NOTHING if time is None else duration((now - time).total_seconds())


def _lost(lost: Sequence[TrialRecord], top: int) -> Iterator[RenderableType]:
    """The newest failed and interrupted trials, each with its reason, the earlier tries, and its worker."""
    if not lost:
        return
    shown = lost[-top:]
    newest = f", the newest {len(shown)}" if len(shown) < len(lost) else ""
    yield Text(f"\n{len(lost)} failed or interrupted trials{newest}", style="bold")
    columns = [
        Column("trial", [str(r.number) for r in shown]),
        Column("state", [r.state for r in shown], rank=1),
        Column("epochs", [str(r.epochs) for r in shown], rank=3),
        Column("earlier tries", [str(r.retries) for r in shown], rank=2),
        Column("reason", [_reason(r) for r in shown], text=True),
        Column("worker", [r.worker or "another program" for r in shown], rank=4, text=True),
    ]
    yield Fitted(columns)


def _reason(trial: TrialRecord) -> str:
    """Why the trial ended. The reason that is stored for a stop says only that it was interrupted."""
    stopped = "Ctrl-C, SIGTERM or --timeout stopped its worker"
    return stopped if trial.reason == STOPPED else trial.reason or "not recorded"


def _values(metric: str, values: Sequence[float | None]) -> Column:
    if is_accuracy(metric):
        return Column(f"{metric} %", [percent(value) for value in values])
    return Column(metric, [score(metric, value) for value in values])


def named_hyperparameters(record: TrialRecord) -> Mapping[str, Any]:
    """The trial's hyperparameters. Searched ones have their names in the search space."""
    searched = {name.removeprefix(ONE_MINUS) for name in record.params}
    others = {name: value for name, value in record.hyperparameters.items() if name not in searched}
    return spelled(record.optimizer, {**record.params, **others})


def _heartbeat(age: float) -> str:
    """When a heartbeat was. That of a clock that was set back, or of another machine's, may lie in the future."""
    return f"{duration(age)} ago" if age > -1 else f"{duration(-age)} ahead of this clock"
