"""The routes that submit, show and steer studies."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from werkzeug import Response

from optbench.definition import check_study_name
from optbench.definition.parse import check_trials
from optbench.definition.sweep import Sweep
from optbench.errors import DefinitionError, NameTakenError, StudyError, TotalError, counted
from optbench.exports.records import show_json, study_json
from optbench.scheduler.states import Wish
from optbench.service.web.bodies import Change, ShowQuery, SubmitBody, SubmitOptions
from optbench.service.web.call import JSON, Call, answer, hide_url, validated
from optbench.service.web.definitions import read_json, read_toml, sweep_of
from optbench.service.web.refusals import RefusalError
from optbench.storage import StudyRecord, studies, study_workers, trials
from optbench.storage import sweep_of as sweep_in
from optbench.storage.about import About
from optbench.storage.candidates import Candidate, read_queue
from optbench.storage.queue import Submission
from optbench.storage.steering import steer
from optbench.worker.creation import new_total
from optbench.worker.submission import submit as put

TOML = ("application/toml", "text/toml", "text/x-toml")


def submit(call: Call) -> Response:
    """Makes the study of the definition in the body, and puts it into the queue."""
    asked, table = _asked(call)
    sweep = sweep_of(table if asked.trials is None else {**table, "trials": asked.trials}, call.service.sweeps)
    name = sweep.name if asked.study is None else asked.study
    try:
        check_study_name(name, "study")
    except DefinitionError as problem:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from problem
    submission = Submission(
        owner=call.caller.name,
        priority=asked.priority,
        max_workers=asked.max_workers,
        label=asked.label,
        needs=asked.needs,
        trials=asked.trials,
    )
    about = About(owner=call.caller.name)
    if isinstance(asked, SubmitBody):
        about = About(owner=call.caller.name, tags=tuple(asked.tags), note=asked.note)
    try:
        with call.service.submitting:  # of two that submit the same, one makes the study
            found = put(call.storage, sweep, name, submission, about)
    except (NameTakenError, TotalError) as problem:
        raise RefusalError(HTTPStatus.CONFLICT, hide_url(call.storage, str(problem))) from problem
    except (StudyError, DefinitionError) as problem:  # for example, the study that it starts from is not there
        said = hide_url(call.storage, str(problem))
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, said) from problem
    call.service.snapshots.forget()
    content = {
        "study": name,
        "made": found.made,
        "added": found.queued,
        "queued": found.place is not None,
        "finished": found.finished,
        "owner": call.caller.name,
    }
    status = HTTPStatus.CREATED if found.made else HTTPStatus.OK
    return answer(content, status, {"Location": f"/v1/sweeps/{quote(name, safe='/')}"})


def _asked(call: Call) -> tuple[SubmitOptions, Mapping[str, object]]:
    """How the study is to be worked on, and the table of the definition. Raises RefusalError."""
    kind, body = call.request.mimetype, call.request.get_data()
    if kind in TOML:
        return call.query(SubmitOptions), read_toml(body)
    if kind != JSON:
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected a body with Content-Type: {TOML[0]}, or {JSON}"
        )
    held = read_json(body)
    in_query = call.query(SubmitOptions).model_dump(exclude_unset=True)
    if isinstance(held, dict):
        if both := sorted(in_query.keys() & held.keys()):
            raise RefusalError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"{both[0]!r} is both in the query and in the body; leave one out"
            )
        held = {**held, **in_query}
    asked = validated(SubmitBody, held)
    return asked, asked.definition


def list_studies(call: Call) -> Response:
    """Every study, oldest first, with its place in the queue."""
    queued = _queued(call)
    return answer([study_json(one, queued.get(one.study_id)) for one in studies(call.storage)])


def show(call: Call) -> Response:
    """A study with its best and unfinished trials, its workers and its place in the queue."""
    asked = call.query(ShowQuery)
    study = call.study()
    records, workers = trials(call.storage, study.study_id), study_workers(call.storage, study.study_id)
    return answer(show_json(study, records, asked.top, workers, _queued(call).get(study.study_id)))


def change(call: Call) -> Response:
    """Changes what people wish of a study in the queue, its priority, or its number of trials."""
    asked = call.json(Change)
    study = call.study()
    change_study(call, study, asked)
    return answer(study_json(call.study(), _queued(call).get(study.study_id)))


def change_study(call: Call, study: StudyRecord, asked: Change) -> None:
    """Change what is asked for, after all of it was checked. Raises RefusalError."""
    if (asked.wish, asked.priority, asked.trials) == (None, None, None):
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "nothing to change; expected wish, priority or trials")
    if study.study_id not in _queued(call):
        raise RefusalError(
            HTTPStatus.CONFLICT, f"study {study.name!r} is not in the queue: it is finished, or runs by hand"
        )
    total = None if asked.trials is None else new_total(study, _longer(study, asked.trials))
    wish = None if asked.wish is None else Wish(asked.wish)
    try:
        steer(call.storage, study.study_id, by=call.caller.name, wish=wish, priority=asked.priority, total=total)
    except StudyError as problem:  # it was finished or deleted in this moment, or its workers go further
        raise RefusalError(HTTPStatus.CONFLICT, hide_url(call.storage, str(problem))) from problem
    call.service.snapshots.forget()


def _longer(study: StudyRecord, total: int) -> Sweep:
    """The study's sweep with another total of trials. Raises RefusalError if it cannot have that."""
    try:
        sweep = replace(sweep_in(study), trials=total)
        if not sweep.searches:
            raise StudyError(f"{study.name!r} is a list of fixed trials, so its number of trials cannot change")
        if total < study.finished:
            done = counted(study.finished, "finished trial")
            raise StudyError(f"trials = {total}; expected {study.finished} or more: {study.name!r} has {done}")
        check_trials(sweep, study.name)
    except (StudyError, DefinitionError) as problem:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from problem
    return sweep


def _queued(call: Call) -> Mapping[int, Candidate]:
    return {one.place.study_id: one for one in call.storage.read(read_queue)}
