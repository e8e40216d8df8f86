"""The table of the API's routes: what the application dispatches by, and what the OpenAPI document describes."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import BaseModel
from werkzeug import Response
from werkzeug.routing import BaseConverter

from optbench.service.web import answers, bodies, reading, sweeps
from optbench.service.web.call import Call
from optbench.service.web.tokens import Scope


class Method(enum.StrEnum):
    """The methods of the API."""

    GET = "GET"
    POST = "POST"
    PATCH = "PATCH"


class NameConverter(BaseConverter):
    """The name of a study or worker at the end of a path. Studies' names hold slashes."""

    part_isolating = False
    regex = r"[\s\S]+"  # a line break, too, so that the answer says that no study has such a name


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route. `path` ends with NAME if it is about one study or worker; `does` is one sentence.

    `answer` is what it answers in JSON (None: a text), with the status `status` or one of `also`.
    """

    method: Method
    path: str
    scope: Scope
    does: str
    run: Callable[[Call], Response]
    query: type[BaseModel] = bodies.NoQuery
    body: type[BaseModel] | None = None
    toml: bool = False
    answer: type[BaseModel] | None = None
    status: HTTPStatus = HTTPStatus.OK
    also: tuple[HTTPStatus, ...] = ()

    @property
    def rule(self) -> str:
        """The path as werkzeug has it."""
        return self.path.replace("STUDY", "<name:name>").replace("NAME", "<name:name>")


ROUTES = (
    Route(
        method=Method.POST,
        path="/v1/sweeps",
        scope=Scope.SUBMIT,
        does="Put a sweep into the queue.",
        run=sweeps.submit,
        query=bodies.SubmitOptions,
        body=bodies.SubmitBody,
        toml=True,
        answer=answers.Submitted,
        status=HTTPStatus.CREATED,
        also=(HTTPStatus.OK,),
    ),
    Route(
        method=Method.GET,
        path="/v1/sweeps",
        scope=Scope.READ,
        does="List every study, oldest first.",
        run=sweeps.list_studies,
        answer=answers.Studies,
    ),
    Route(
        method=Method.GET,
        path="/v1/sweeps/STUDY",
        scope=Scope.READ,
        does="Show a study with its best and unfinished trials.",
        run=sweeps.show,
        query=bodies.ShowQuery,
        answer=answers.ShownStudy,
    ),
    Route(
        method=Method.PATCH,
        path="/v1/sweeps/STUDY",
        scope=Scope.SUBMIT,
        does="Pause, stop or resume a study in the queue, or change its priority or number of trials.",
        run=sweeps.change,
        body=bodies.Change,
        answer=answers.Study,
    ),
    Route(
        method=Method.GET,
        path="/v1/trials/STUDY",
        scope=Scope.READ,
        does="List the trials of a study, by number.",
        run=reading.list_trials,
        query=bodies.TrialsQuery,
        answer=answers.Trials,
    ),
    Route(
        method=Method.GET,
        path="/v1/export/STUDY",
        scope=Scope.READ,
        does="Write the best configuration of a study, or others, for another program.",
        run=reading.export,
        query=bodies.ExportQuery,
    ),
    Route(
        method=Method.GET,
        path="/v1/events",
        scope=Scope.READ,
        does="List the newest events, newest last.",
        run=reading.list_events,
        query=bodies.EventsQuery,
        answer=answers.Events,
    ),
    Route(
        method=Method.GET,
        path="/v1/events/STUDY",
        scope=Scope.READ,
        does="List the newest events of a study, newest last.",
        run=reading.list_events,
        query=bodies.EventsQuery,
        answer=answers.Events,
    ),
    Route(
        method=Method.GET,
        path="/v1/workers",
        scope=Scope.READ,
        does="List the workers of the pool.",
        run=reading.list_workers,
        answer=answers.Workers,
    ),
    Route(
        method=Method.PATCH,
        path="/v1/workers/NAME",
        scope=Scope.ADMIN,
        does="Let a worker finish its running trials and end.",
        run=reading.drain,
        body=bodies.WorkerChange,
        answer=answers.Worker,
    ),
)
