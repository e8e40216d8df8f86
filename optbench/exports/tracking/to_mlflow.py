"""Writes an experiment to MLflow: only what it lacks there.

A run carries the tag `optbench.trial`, the study's token and the trial's number, by which a later export finds it
again, also after a rename. `optbench.epochs` says up to which epoch it is written, in one request with these epochs.
An epoch is the same row whenever it is written, so an export that breaks off anywhere is completed by the next one.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from optbench.errors import StudyError
from optbench.exports.tracking.mlflow_client import connect, one_line, without_password
from optbench.exports.tracking.records import Experiment, Facts, Run, Step, Written
from optbench.scheduler.states import State

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "optbench."
TOKEN, TRIAL, EPOCHS, FINALS = (f"{PREFIX}{name}" for name in ("token", "trial", "epochs", "finals."))
DESCRIPTION = "mlflow.note.content"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # so that its pages show runs, and not prompts
SOURCE = {"mlflow.source.name": "optbench"}
ACTIVE = "active"  # the stage of what nobody deleted
AT_ONCE = 8  # runs that are sent to a server side by side; a database file has one writer
LONGEST = 5000  # characters of a tag or parameter that every version takes
PER_REQUEST = 800  # metrics; MLflow takes 1000 entries in all


class Status(StrEnum):
    """How MLflow calls the state of a run."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


STATUS = {
    State.RUNNING: Status.RUNNING,
    State.COMPLETE: Status.FINISHED,
    State.PRUNED: Status.FINISHED,  # a result, which fills its slot; the tag optbench.state tells them apart
    State.DIVERGED: Status.FINISHED,
    State.INTERRUPTED: Status.KILLED,
    State.FAILED: Status.FAILED,
}


def write_experiment(uri: str, experiment: Experiment) -> Written:
    """Write the experiment to MLflow at the URI. Raises OutputError, and StudyError if its name is taken there."""
    with one_line(uri):
        client = connect(uri)
        held = _experiment(client, experiment, without_password(uri))
        known = {run.data.tags[TRIAL]: run for run in _runs(client, held.experiment_id)}

        def write(run: Run) -> tuple[bool, int]:
            identity = f"{experiment.token}/{run.number}"
            found = known.get(identity)
            if found is not None and found.info.lifecycle_stage != ACTIVE:
                return False, 0  # somebody deleted it there
            return found is None, _write(client, found or _create(client, held.experiment_id, run, identity), run)

        pool = ThreadPoolExecutor(AT_ONCE if uri.startswith("http") else 1)
        try:
            done = list(pool.map(write, experiment.runs))
        finally:
            pool.shutdown(cancel_futures=True)  # after an error, do not try the other runs
    return Written(
        where=f"the MLflow experiment {held.name!r} at {without_password(uri)}",
        runs=len(done),
        created=sum(created for created, _ in done),
        epochs=sum(epochs for _, epochs in done),
    )


def _experiment(client: "MlflowClient", experiment: Experiment, where: str) -> Any:
    """MLflow's experiment of this study, with current tags; made if there is none."""
    from mlflow.entities import ViewType

    about = _tags(experiment.about)
    mine = f"tags.`{TOKEN}` = '{experiment.token}'"
    found = next(iter(client.search_experiments(view_type=ViewType.ALL, filter_string=mine)), None)
    if found is not None and found.lifecycle_stage != ACTIVE:
        raise StudyError(
            f"{where} has an experiment {found.name!r} that was deleted; restore it there, or choose another URI"
        )
    if found is None and client.get_experiment_by_name(experiment.name) is not None:
        raise StudyError(
            f"{where} has an experiment {experiment.name!r} that is not this study's; remove it there, or give the "
            "study another name with `optbench rename`"
        )
    if found is None:
        note = {DESCRIPTION: f"The study {experiment.name} of optbench, written by `optbench export`."}
        made = client.create_experiment(experiment.name, tags={TOKEN: experiment.token, **KIND, **note, **about})
        return client.get_experiment(made)
    for key, value in about.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return found


def _runs(client: "MlflowClient", experiment_id: str) -> Iterator[Any]:
    """Every run of the experiment that an export wrote, deleted ones too."""
    from mlflow.entities import ViewType

    token = None
    while True:
        page = client.search_runs([experiment_id], run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        yield from (run for run in page if TRIAL in run.data.tags)
        if not (token := page.token):
            return


def _create(client: "MlflowClient", experiment_id: str, run: Run, identity: str) -> Any:
    """A new run of MLflow, without its parameters, epochs and end."""
    tags = {TRIAL: identity, **SOURCE, **_tags(run.about | _outcome(run))}
    return client.create_run(experiment_id, start_time=_ms(run.start), tags=tags, run_name=f"trial {run.number}")


def _write(client: "MlflowClient", found: Any, run: Run) -> int:
    """Bring MLflow's run up to date; the number of epochs that it lacked."""
    from mlflow.entities import Metric, Param, RunTag

    run_id, held = found.info.run_id, found.data
    written = int(held.tags.get(EPOCHS, 0))
    new = [step for step in run.steps if step.epoch > written]
    tags = _tags(run.about | _outcome(run))
    changed = [RunTag(key, value) for key, value in tags.items() if held.tags.get(key) != value]
    params = [Param(name, _text(value)) for name, value in run.params.items() if name not in held.params]
    for steps in _requests(new):
        metrics = [
            Metric(key=name, value=value, timestamp=_ms(step.time), step=step.epoch)
            for step in steps
            for name, value in step.metrics.items()
        ]
        client.log_batch(run_id, metrics, params, [*changed, RunTag(EPOCHS, str(steps[-1].epoch))])
        params, changed = [], []
    last = run.steps[-1] if run.steps else Step(epoch=0, time=run.end or run.start, metrics={})
    results = [
        Metric(key=name, value=value, timestamp=_ms(run.end or last.time), step=last.epoch)
        for name, value in run.result.items()
        if name not in held.metrics
    ]
    if results or params or changed:
        client.log_batch(run_id, results, params, changed)
    for key in held.tags:
        if key.startswith(FINALS) and key not in tags:
            client.delete_tag(run_id, key)  # later finals have other finalists
    _set_status(client, found, run)
    return len(new)


def _set_status(client: "MlflowClient", found: Any, run: Run) -> None:
    """Set MLflow's status and end of the run, if they are others."""
    status = STATUS[run.state]
    if run.end is None and found.info.status != status:
        client.update_run(found.info.run_id, status=status)  # a dead worker's trial may run again
    elif run.end is not None and (found.info.status, found.info.end_time) != (status, _ms(run.end)):
        client.set_terminated(found.info.run_id, status, _ms(run.end))


def _requests(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """The steps in groups that one request holds."""
    size = max(1, PER_REQUEST // max([1, *(len(step.metrics) for step in steps)]))
    for first in range(0, len(steps), size):
        yield steps[first : first + size]


def _outcome(run: Run) -> Facts:
    """What may change about a run, without its epochs, which are counted as they are written."""
    return {name: value for name, value in run.outcome.items() if name != "epochs"} | run.finals


def _tags(facts: Facts) -> dict[str, str]:
    return {f"{PREFIX}{name}": _text(value) for name, value in facts.items()}


def _text(value: Any) -> str:
    return str(value)[:LONGEST]


def _ms(time: float) -> int:
    return round(1000 * time)
