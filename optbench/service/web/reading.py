"""The routes that show trials, configurations, events and workers, and the one that drains a worker."""

from http import HTTPStatus

from werkzeug import Response

from optbench.errors import StudyError
from optbench.exports import FORMATS, Format, chosen
from optbench.exports.records import event_json, pool_json, trial_json
from optbench.service.web.bodies import EventsQuery, ExportQuery, TrialsQuery, WorkerChange
from optbench.service.web.call import JSON, Call, answer, hide_url
from optbench.service.web.refusals import RefusalError
from optbench.storage import trials
from optbench.storage.event_log import recent_events
from optbench.storage.pool import PoolRecord, pool_workers
from optbench.storage.pool import drain as ask_to_drain

KINDS = {Format.JSON: JSON, Format.KERAS: JSON, Format.TOML: "application/toml; charset=utf-8"}
TEXT = "text/plain; charset=utf-8"


def list_trials(call: Call) -> Response:
    """Every trial of a study, by number."""
    asked = call.query(TrialsQuery)
    found = [one for one in trials(call.storage, call.study().study_id) if one.number > asked.after]
    return answer([trial_json(one) for one in found[: asked.count]])


def export(call: Call) -> Response:
    """The best configuration of a study, or others, for another program."""
    asked = call.query(ExportQuery)
    if asked.top is not None and asked.trial is not None:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "expected trial or top, not both")
    study = call.study()
    try:
        text = FORMATS[asked.format](chosen(call.storage, study, asked.trial, asked.top))
    except StudyError as problem:
        status = HTTPStatus.CONFLICT if asked.trial is None else HTTPStatus.NOT_FOUND
        raise RefusalError(status, hide_url(call.storage, str(problem))) from problem
    found = Response(text.encode(), content_type=KINDS.get(asked.format, TEXT))
    found.headers.extend({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    return found


def list_events(call: Call) -> Response:
    """The newest events, newest last: of one study if the path names one, else of everything."""
    asked = call.query(EventsQuery)
    study = call.study().name if call.name else None
    found = recent_events(call.storage, study, asked.count, asked.after)
    return answer([event_json(one) for one in found])


def list_workers(call: Call) -> Response:
    """The workers of the pool, by name."""
    return answer([pool_json(one) for one in pool_workers(call.storage)])


def drain(call: Call) -> Response:
    """Lets a worker finish its running trials and end."""
    call.json(WorkerChange)
    return answer(pool_json(drained(call, call.name)))


def drained(call: Call, worker: str) -> PoolRecord:
    """The worker, after asking it to drain. Raises RefusalError if there is no such worker."""
    try:
        if not worker.isprintable():
            raise StudyError("there is no worker of that name")
        ask_to_drain(call.storage, worker, call.caller.name)
        found = next((one for one in pool_workers(call.storage) if one.name == worker), None)
        if found is None:  # it has ended in this moment
            raise StudyError(f"the worker {worker!r} has ended")
    except StudyError as problem:
        raise RefusalError(HTTPStatus.NOT_FOUND, str(problem)) from problem
    call.service.snapshots.forget()
    return found
