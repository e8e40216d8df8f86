"""The pages for people: what runs and waits, the login, the API described. They load nothing from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug import Response

from optbench import __version__
from optbench.errors import StorageError, counted
from optbench.exports.records import state_of
from optbench.scheduler.states import Wish
from optbench.service.web.bodies import Change
from optbench.service.web.call import Call, validated
from optbench.service.web.gate import CSRF_FIELD
from optbench.service.web.openapi import document
from optbench.service.web.reading import drained
from optbench.service.web.refusals import RefusalError
from optbench.service.web.sweeps import change_study
from optbench.service.web.tokens import Scope
from optbench.service.wsgi import log_unanswered
from optbench.storage import StudyRecord
from optbench.storage.candidates import Candidate
from optbench.storage.pool import PoolState

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HTML = "text/html; charset=utf-8"
REFUSAL = "refusal"  # the key in the page's address that has the code of a line
STUDIES = 50  # the newest so many are listed

UNDONE = "the database did not answer, so that was perhaps not done; look here whether it was, and if not, try again"


class Action(StrEnum):
    """What a button of the page asks for."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    PRIORITY = "priority"
    DRAIN = "drain"


WISHES = {Action.PAUSE: Wish.PAUSE, Action.RESUME: Wish.RUN, Action.STOP: Wish.STOP}


def overview(call: Call) -> Response:
    """What runs, what waits, who works, the best of each study, and the newest events."""
    snapshot, gate, caller = call.service.snapshots.get(), call.service.gate, call.caller
    changeable = not gate.read_only and not call.service.stopping.is_set()
    listed = sorted(snapshot.studies, key=lambda one: (one.changed or datetime.min, one.study_id), reverse=True)
    return _page(
        "overview",
        HTTPStatus.OK,
        snapshot=snapshot,
        studies=listed[:STUDIES],
        unlisted=max(0, len(listed) - STUDIES),
        who=caller,
        steers=changeable and caller.scope.includes(Scope.SUBMIT),
        drains=changeable and caller.scope.includes(Scope.ADMIN),
        read_only=gate.read_only,
        stopping=call.service.stopping.is_set(),
        problem=call.service.refusals.take(call.request.args.get(REFUSAL, "")),
    )


def act(call: Call) -> Response:
    """Does what a button of the page asks for, and leads to the page, which says once why if that was not done.

    Without the redirection, a browser that loads the page again would send the form again.
    """
    form = call.request.form
    call.service.gate.check_form(call.caller, form.get(CSRF_FIELD, ""))
    try:
        _act(call, form)
    except RefusalError as problem:
        why = str(problem)
    except StorageError as problem:
        log_unanswered(problem)
        call.service.snapshots.forget()
        why = UNDONE
    else:
        return redirect("/")
    return redirect(f"/?{REFUSAL}={call.service.refusals.keep(why)}")


def _act(call: Call, form: Mapping[str, str]) -> None:
    given, priority = form.get("action", ""), form.get("priority", "")
    if given not in list(Action):
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, f"action = {given[:40]!r} is unknown")
    action = Action(given)
    if action is Action.DRAIN:
        if not call.caller.scope.includes(Scope.ADMIN):
            raise RefusalError(HTTPStatus.FORBIDDEN, f"this needs a token with the scope {Scope.ADMIN}")
        drained(call, form.get("worker", ""))
        return
    study = Call(service=call.service, request=call.request, caller=call.caller, name=form.get("study", "")).study()
    if action in WISHES:
        change_study(call, study, Change(wish=WISHES[action]))
        return
    number = int(priority) if priority.removeprefix("-").isdecimal() and len(priority) < 9 else priority
    change_study(call, study, validated(Change, {"priority": number}))


def login(problem: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response:
    """The page with the field for a token."""
    return _page("login", status, problem=problem)


def failure(
    problem: str, status: HTTPStatus, headers: Mapping[str, str] | None = None, *, tries_again: bool
) -> Response:
    """An error, in one line. While the database does not answer, the page loads itself again if it can."""
    again = tries_again and status is HTTPStatus.SERVICE_UNAVAILABLE
    found = _page("failure", status, problem=problem, status=status, tries_again=again)
    found.headers.extend(headers or {})
    return found


def describe() -> Response:
    """The OpenAPI document as a page."""
    found = document()
    return _page("docs", HTTPStatus.OK, document=found, schemas=found["components"]["schemas"])


def redirect(place: str) -> Response:
    """A redirection that makes a browser load that page."""
    return Response("", HTTPStatus.SEE_OTHER, {"Location": place, "Cache-Control": "no-store"})


def asset(name: str) -> Response:
    """The style sheet, which continues the report's, or the script."""
    kinds = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
    return Response(_asset(name), content_type=kinds[name], headers={"X-Content-Type-Options": "nosniff"})


@cache
def _asset(name: str) -> str:
    own = (files("optbench.service.web") / "templates" / name).read_text(encoding="utf-8")
    if name != "page.css":
        return own
    return (files("optbench.report") / "templates" / "page.css").read_text(encoding="utf-8") + own


def _page(name: str, code: HTTPStatus, /, **given: object) -> Response:
    text = _environment().get_template(f"{name}.html.j2").render(version=__version__, **given)
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return Response(text, code, headers, content_type=HTML)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("optbench.service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "age": age,
        "score": score,
        "share": share,
        "workers": workers,
        "counted": counted,
        "plain": _plain,
        "schema": _schema,
    }
    made.globals |= {
        "Action": Action,
        "PoolState": PoolState,
        "Wish": Wish,
        "state_of": state_of,
        "at": lambda moment: f"{moment:%m-%d %H:%M}",
    }
    return made


def age(seconds: float) -> str:
    """Seconds as people say them: 42 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def score(study: StudyRecord) -> str:
    """The study's best value with its unit; a dash if there is none."""
    if study.best is None:
        return "-"
    return f"{100 * study.best:.2f} %" if study.metric.endswith("accuracy") else f"{study.best:.6g}"


def workers(one: Candidate) -> str:
    """How many workers train the study, and how many may."""
    most = one.place.max_workers
    return counted(one.workers, "worker") if most is None else f"{one.workers} of {counted(most, 'worker')}"


def share(study: StudyRecord) -> int:
    """How much of the study is finished, in percent."""
    return min(100, 100 * study.finished // study.total) if study.total else 0


def _plain(content: object) -> str:
    return json.dumps(content, indent=2)


def _schema(content: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Sequence[str]:
    """The names of the schemas that the content of a body or an answer refers to."""
    found = [part.get("schema", {}).get("$ref", "") for part in content.values()]
    return [reference.rpartition("/")[2] for reference in found if reference]
