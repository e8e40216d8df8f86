"""Records as plain data for JSON, with stable keys; accuracies are fractions."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from optbench.cli.tables.trials import LOST, ranked
from optbench.comparison.selection import finalist_json
from optbench.optimizers.spelling import spelled
from optbench.scheduler.states import State
from optbench.storage import FinalsRecord, StudyRecord, TrialRecord, WorkerRecord
from optbench.worker.replay import Replay


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
        "sweep": None if study.sweep is None else study.sweep.name,
        "optimizer": study.optimizer,
        "state": study.state,
        "owner": study.about.owner,
        "tags": list(study.about.tags),
        "note": study.about.note,
        "total": study.total,
        "trials": dict(study.counts),
        "metric": study.metric,
        "best": study.best,
        "finals": None if study.finals is None else _finals_json(study.finals),
        "epochs": study.epochs,
        "changed": study.changed.isoformat() + "Z" if study.changed else None,
        "definition": None if study.sweep is None else study.sweep.definition(),
        "fingerprint": study.fingerprint,
        "versions": study.versions,
    }


def _finals_json(finals: FinalsRecord) -> dict[str, Any]:
    return {
        "study": finals.study,
        "done": finals.done,
        "finished": finals.finished,
        "total": finals.total,
        "finalists": [
            {
                "trial": one.trial,
                **finalist_json(one),
                "scores": {str(seed): value for seed, value in one.scores.items()},
                "rounds": one.rounds,
            }
            for one in finals.finalists
        ],
    }


def show_json(
    study: StudyRecord, records: Sequence[TrialRecord], top: int = 10, workers: Sequence[WorkerRecord] = ()
) -> dict[str, Any]:
    """The study as plain data, with its best and unfinished trials, its workers, and its fixed settings."""
    unfinished = [record for record in records if record.state in (State.RUNNING, *LOST)]
    shown: dict[str, Any] = {
        "top": [trial_json(trial) for trial in ranked(study, records)[:top]],
        "unfinished": [trial_json(trial) for trial in unfinished],
        "workers": [{**asdict(worker), "alive": worker.alive} for worker in workers],
    }
    if not study.searches:
        from optbench.comparison.baseline import by_label

        shown["settings"] = [asdict(setting) for setting in by_label(study.sweep, records)]
    return study_json(study) | shown


def trial_json(trial: TrialRecord) -> dict[str, Any]:
    """The trial as plain data."""
    plain = {key: value for key, value in vars(trial).items() if key != "trial_id"}
    named = {key: spelled(trial.optimizer, plain[key]) for key in ("params", "hyperparameters")}
    return plain | named | {"started": _iso(trial.started), "ended": _iso(trial.ended)}


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
