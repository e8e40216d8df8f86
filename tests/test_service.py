"""The HTTP API: every route with every scope, what it answers, and that the OpenAPI document says so."""

import json
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import jsonschema
import pytest

from optbench.service.web.openapi import document
from optbench.service.web.routes import ROUTES
from optbench.service.web.tokens import Scope
from optbench.storage import find_study
from optbench.storage.doctor import examine
from optbench.storage.event_log import recent_events
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import find_place
from optbench.storage.steering import conclude
from tests.conftest import TINY
from tests.filled import fill, peak, search
from tests.filled import run as filled_search
from tests.service import JSON, TOML, serving


@pytest.fixture
def client(tmp_path):
    with serving(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server with a submitted study, a filled search and a worker, for tests that only read."""
    with serving(tmp_path_factory.mktemp("shared")) as made:
        storage = made.service.storage
        made.submit("team/a b?")
        filled_search(storage, search(trials=12), "adadelta", peak)
        worker = PoolWorker(storage, label=None, gpu=False, cores=2)
        worker.heartbeat()
        made.worker = worker.name
        yield made


def place(client, study):
    return find_place(client.service.storage, find_study(client.service.storage, study).study_id)


def checked(route_path, method, reply):
    """The content of the reply, after holding it to the OpenAPI document."""
    held = document()
    operation = held["paths"][route_path][method]
    schema = operation["responses"][str(reply.status)]["content"][JSON]["schema"]
    jsonschema.validate(reply.json, {**schema, "components": held["components"]})
    return reply.json


def test_a_sweep_is_submitted_as_toml_then_it_is_there_already(client):
    first = client.submit("team/first")
    assert (first.status, first.headers["location"]) == (201, "/v1/sweeps/team/first")
    content = checked("/v1/sweeps", "post", first)
    new = {"made": True, "added": True, "queued": True, "finished": False}
    assert content == {"study": "team/first", "owner": "sue", **new}
    again = client.submit("team/first", scope=Scope.ADMIN)
    assert (again.status, again.json["made"], again.json["added"], again.json["queued"]) == (200, False, False, True)
    assert place(client, "team/first").owner == "sue"
    assert examine(client.service.storage) == []


def test_the_openapi_document_describes_every_key_of_the_answer_to_a_submission():
    held = document()["components"]["schemas"]["Submitted"]["properties"]
    assert [key for key, part in held.items() if not part.get("description")] == []


def test_a_sweep_is_submitted_as_json_with_how_it_is_to_be_worked_on(client):
    asked = {"study": "x", "priority": 3, "max_workers": 2, "label": "lab", "needs": "gpu"}
    assert client.post("/v1/sweeps", {"definition": TINY, **asked}).status == 201
    held = place(client, "x")
    assert (held.priority, held.max_workers, held.label, str(held.needs)) == (3, 2, "lab", "gpu")
    assert client.post("/v1/sweeps?priority=4", {"definition": TINY, "study": "x"}).status == 200
    again = place(client, "x")
    assert (again.priority, again.label, again.max_workers) == (4, "lab", 2)
    twice = client.post("/v1/sweeps?priority=4", {"definition": TINY, "priority": 4})
    assert (twice.status, twice.error) == (422, "'priority' is both in the query and in the body; leave one out")


def test_another_definition_under_the_same_name_is_refused_with_the_keys_that_differ(client):
    client.submit("x")
    refused = client.submit("x", epochs=3)
    assert refused.status == 409
    assert "study 'x' has another definition: epochs is 2 there, 3 here" in refused.error
    assert find_study(client.service.storage, "x").sweep.epochs == 2


def test_a_wrong_definition_is_refused_with_the_line_that_the_command_line_prints(client):
    refused = client.submit("x", epochs=0)
    assert (refused.status, refused.error) == (422, "the definition: epochs = 0; expected 1 or more")
    assert client.get("/v1/sweeps").json == []


def test_of_many_that_submit_the_same_study_at_once_one_makes_it(client):
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda _: client.submit("same"), range(12)))
        others = list(pool.map(lambda number: client.submit(f"other{number}"), range(6)))
    assert sorted(reply.status for reply in replies) == [200] * 11 + [201]
    assert [reply.status for reply in others] == [201] * 6
    assert len(client.get("/v1/sweeps").json) == 7
    events = recent_events(client.service.storage, "same")
    assert sorted(event.text for event in events) == ["again by sue"] * 11 + ["by sue"]
    assert examine(client.service.storage) == []


def test_a_study_is_paused_resumed_stopped_and_gets_priority_and_trials(client):
    client.submit("team/x")
    changed = client.patch("/v1/sweeps/team/x", {"wish": "pause", "priority": 7, "trials": 9})
    content = checked("/v1/sweeps/{study}", "patch", changed)
    assert (content["total"], content["queue"]["state"], content["queue"]["priority"]) == (9, "paused", 7)
    for wish, state in (("run", "waiting"), ("stop", "stopped")):
        assert client.patch("/v1/sweeps/team/x", {"wish": wish}).json["queue"]["state"] == state
    kinds = [str(event.kind) for event in recent_events(client.service.storage, "team/x")]
    assert kinds == ["submitted", "priority", "paused", "resumed", "stopped"]
    assert {event.text for event in recent_events(client.service.storage, "team/x")} == {"by sue", "7 by sue"}


def test_a_study_that_is_not_in_the_queue_cannot_be_steered_and_nothing_is_half_changed(client):
    client.submit("x", trials=12)
    fill(client.service.storage, find_study(client.service.storage, "x"), lambda job: 0.5)
    shorter = client.patch("/v1/sweeps/x", {"trials": 6, "priority": 5})
    assert (shorter.status, place(client, "x").priority) == (422, 0)
    assert "expected 12 or more: 'x' has 12 finished trials" in shorter.error
    assert checked("/v1/sweeps/{study}", "get", client.get("/v1/sweeps/x"))["queue"]["state"] == "done"
    conclude(client.service.storage, find_study(client.service.storage, "x").study_id, "")
    refused = client.patch("/v1/sweeps/x", {"wish": "pause", "trials": 20})
    assert (refused.status, find_study(client.service.storage, "x").total) == (409, 12)
    assert refused.error == "study 'x' is not in the queue: it is finished, or runs by hand"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/sweeps", "/v1/sweeps"),
        ("/v1/sweeps/adadelta?top=3", "/v1/sweeps/{study}"),
        (f"/v1/sweeps/{quote('team/a b?')}", "/v1/sweeps/{study}"),
        ("/v1/trials/adadelta?count=5&after=3", "/v1/trials/{study}"),
        ("/v1/events", "/v1/events"),
        (f"/v1/events/{quote('team/a b?')}", "/v1/events/{study}"),
        ("/v1/workers", "/v1/workers"),
    ],
)
def test_answers_are_what_the_openapi_document_says(shared, path, route):
    assert checked(route, "get", shared.get(path))


def test_reading_routes_show_studies_trials_events_and_workers(shared):
    names = [study["name"] for study in shared.get("/v1/sweeps").json]
    assert names == ["team/a b?", "adadelta"]
    shown = shared.get("/v1/sweeps/adadelta?top=3").json
    assert (len(shown["top"]), shown["queue"], shown["trials"]["running"]) == (3, None, 0)
    numbers = [trial["number"] for trial in shared.get("/v1/trials/adadelta?count=5&after=3").json]
    assert numbers == [4, 5, 6, 7, 8]
    (event,) = shared.get(f"/v1/events/{quote('team/a b?')}").json
    assert (event["kind"], event["text"]) == ("submitted", "by sue")
    assert [one["kind"] for one in shared.get(f"/v1/events?count=5&after={event['id']}").json] == ["worker started"]
    assert [(one["name"], one["state"]) for one in shared.get("/v1/workers").json] == [(shared.worker, "idle")]


def test_configurations_are_exported_in_every_form(shared):
    assert shared.get("/v1/export/adadelta").status == 200
    for form, kind in {"keras": JSON, "toml": f"{TOML}; charset=utf-8", "torch": "text/plain; charset=utf-8"}.items():
        reply = shared.get(f"/v1/export/adadelta?format={form}")
        assert (reply.status, reply.headers["content-type"]) == (200, kind)
        assert b"adadelta" in reply.body.lower()
    assert tomllib.loads(shared.get("/v1/export/adadelta?format=toml&top=2").body.decode())["trial"][1]
    none = shared.get(f"/v1/export/{quote('team/a b?')}")
    assert (none.status, "has no complete trial yet" in none.error) == (409, True)
    assert shared.get("/v1/export/adadelta?trial=99").status == 404


def test_a_worker_is_drained_by_name(client):
    worker = PoolWorker(client.service.storage, label=None, gpu=False, cores=2)
    worker.heartbeat()
    drained = client.patch(f"/v1/workers/{worker.name}", {"draining": True}, scope=Scope.ADMIN)
    assert checked("/v1/workers/{name}", "patch", drained)["state"] == "draining"
    assert worker.draining()
    assert "did you mean" in client.patch(f"/v1/workers/{worker.name}x", {"draining": True}, scope=Scope.ADMIN).error


def concrete(route):
    path = route.path.replace("STUDY", "adadelta").replace("NAME", "nobody")
    return path, b"" if route.body is None else b"{}"


@pytest.mark.parametrize("scope", [None, *Scope])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_lets_in_only_who_has_its_scope(shared, route, scope):
    path, body = concrete(route)
    reply = shared.ask(route.method, path, body, JSON if body else None, scope=scope)
    if scope is None:
        assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="optbench"')
    elif scope.includes(route.scope):
        assert reply.status in ((200,) if route.method == "GET" else (422,))
    else:
        assert (reply.status, reply.error[:32]) == (403, "this needs a token with the scop")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_read_only_server_refuses_every_change(tmp_path, route):
    with serving(tmp_path, read_only=True) as client:
        path, body = concrete(route)
        reply = client.ask(route.method, path, body, JSON if body else None, scope=Scope.ADMIN)
        if route.method != "GET":
            assert (reply.status, reply.error) == (403, "this server is read-only")
        else:
            assert reply.status in (200, 404)


def test_the_openapi_document_lists_every_route_and_the_page_shows_it_offline(shared):
    held = shared.get("/v1/openapi.json", scope=None).json
    assert held == document()
    listed = {(path, method.upper()) for path, operations in held["paths"].items() for method in operations}
    assert len(listed) == len(ROUTES)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(held)))
    assert references <= set(held["components"]["schemas"])
    page = shared.get("/v1/docs", scope=None)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    text = page.body.decode()
    assert all(route.does in text for route in ROUTES)
    assert re.findall(r'(?:src|href)="(?!/|#)', text) == []


def test_a_study_of_another_database_kind_is_submitted_and_steered(url, tmp_path):
    with serving(tmp_path, url=url) as client:
        assert client.submit("team/x").status == 201
        assert client.patch("/v1/sweeps/team/x", {"wish": "pause", "trials": 8}).status == 200
        assert client.get("/v1/sweeps/team/x").json["queue"]["state"] == "paused"
        assert client.get("/readyz", scope=None).json == {"ready": True}
