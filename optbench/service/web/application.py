"""The service as one WSGI application: the API, the pages, metrics and health, and optuna-dashboard behind them."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from werkzeug import Request, Response
from werkzeug.routing import Map, Rule

from optbench.service.guard import READING
from optbench.service.web import health, logins, pages
from optbench.service.web.bodies import NoQuery
from optbench.service.web.call import BoundedRequest, Call, Service, answer
from optbench.service.web.metrics import CONTENT_TYPE, metrics
from optbench.service.web.openapi import document
from optbench.service.web.problems import problem_answer
from optbench.service.web.refusals import RefusalError
from optbench.service.web.routes import ROUTES, NameConverter, Route
from optbench.service.web.tokens import Scope
from optbench.service.wsgi import Application, Environment

ICON = "/favicon.ico"
"""Browsers ask for it on the login page, too, so it needs no token."""
DASHBOARD = ("/dashboard", "/api/", "/static/", "/artifacts/", "/csv/", ICON)
"""The beginnings of optuna-dashboard's paths. Its pages name them, so that they cannot lie below another path."""

View = Callable[[BoundedRequest], Response]


class Web:
    """A WSGI application; `dashboard` is optuna-dashboard's."""

    def __init__(self, service: Service, dashboard: Application) -> None:
        self.service, self.dashboard = service, dashboard
        views: dict[str, tuple[tuple[str, ...], View]] = {
            "/": (("GET",), self._overview),
            "/act": (("POST",), self._act),
            "/login": (("GET", "POST"), lambda request: logins.log_in(service.gate, request)),
            "/logout": (("POST",), lambda request: logins.log_out(service.gate, request)),
            "/page.css": (("GET",), lambda _: pages.asset("page.css")),
            "/page.js": (("GET",), lambda _: pages.asset("page.js")),
            "/v1/docs": (("GET",), lambda _: pages.describe()),
            "/v1/openapi.json": (("GET",), lambda _: answer(document())),
            "/metrics": (("GET",), self._metrics),
            "/healthz": (("GET",), lambda _: answer({"alive": True})),
            "/readyz": (("GET",), lambda _: health.readiness(service)),
        }
        rules = [Rule(path, methods=methods, endpoint=view) for path, (methods, view) in views.items()]
        rules += [Rule(route.rule, methods=[route.method], endpoint=route) for route in ROUTES]
        self.map = Map(rules, merge_slashes=False, strict_slashes=True, converters={"name": NameConverter})

    def __call__(self, environment: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        request = BoundedRequest(environment)
        try:
            if environment.get("PATH_INFO", "").startswith(DASHBOARD):
                return self._pass_on(request, start)
            found = self._dispatched(request)
        except Exception as problem:  # the server goes on, whatever happens to one request
            found = problem_answer(problem, request)
        return found(environment, start)

    def _dispatched(self, request: BoundedRequest) -> Response:
        endpoint, found = self.map.bind_to_environ(request.environ).match()
        if not isinstance(endpoint, Route):
            view: View = endpoint
            return view(request)
        caller = self.service.gate.admit(request, endpoint.scope)
        if request.method not in READING:
            self.service.gate.check_header(request, caller)
        call = Call(service=self.service, request=request, caller=caller, name=found.get("name", ""))
        if endpoint.query is NoQuery:
            call.query(NoQuery)
        return endpoint.run(call)

    def _call(self, request: BoundedRequest, scope: Scope) -> Call:
        return Call(service=self.service, request=request, caller=self.service.gate.admit(request, scope))

    def _overview(self, request: BoundedRequest) -> Response:
        try:
            call = self._call(request, Scope.READ)
        except RefusalError as refusal:
            if refusal.status is HTTPStatus.UNAUTHORIZED and "Authorization" not in request.headers:
                return pages.redirect("/login")
            raise
        return pages.overview(call)

    def _act(self, request: BoundedRequest) -> Response:
        return pages.act(self._call(request, Scope.SUBMIT))

    def _metrics(self, request: BoundedRequest) -> Response:
        self._call(request, Scope.READ)
        return Response(metrics(self.service.snapshots.get()), content_type=CONTENT_TYPE)

    def _pass_on(self, request: Request, start: Callable[..., Any]) -> Iterable[bytes]:
        """What optuna-dashboard answers. Whoever changes something there may delete studies."""
        if request.path != ICON:
            try:
                self.service.gate.admit(request, Scope.READ if request.method in READING else Scope.ADMIN)
            except RefusalError as refusal:
                if refusal.status is HTTPStatus.UNAUTHORIZED and request.path.startswith("/dashboard"):
                    return pages.redirect("/login")(request.environ, start)
                raise
        return self.dashboard(request.environ, start)
