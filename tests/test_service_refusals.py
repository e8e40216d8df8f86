"""What the API refuses: wrong bodies, queries and names, code that would come in by HTTP, and too large requests."""

import json
import os
import socket

import pytest
import tomli_w

from optbench.service.web.call import MAX_BODY
from optbench.service.web.tokens import Scope
from optbench.storage import find_study, studies
from optbench.storage.event_log import recent_events
from optbench.storage.queue import places
from tests.conftest import TINY
from tests.service import JSON, TOML, serving

MODEL = "import keras\n\n\ndef net(shape, classes):\n    return keras.Sequential([keras.layers.Dense(classes)])\n"
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A server with one study, `x`, that no test of this module may change."""
    folder = tmp_path_factory.mktemp("refusals")
    with serving(folder) as made:
        made.submit("x")
        yield made


@pytest.fixture
def held(client):
    """The client. After the test its database is as it was."""
    storage = client.service.storage
    before = studies(storage), places(storage), recent_events(storage)
    yield client
    assert (studies(storage), places(storage), recent_events(storage)) == before


def named(name):
    return table(data={"name": name, "validation": 9})


def body(definition=None, **asked):
    return json.dumps({"definition": TINY if definition is None else definition, **asked}).encode()


def table(**changes):
    return {key: value for key, value in (TINY | changes).items() if value is not None}


BODIES = {
    "empty JSON": (b"", JSON, 400, "the body is not readable as JSON"),
    "half a JSON": (b'{"definition": ', JSON, 400, "not readable as JSON"),
    "no UTF-8": (b'{"a": "\xff"}', JSON, 400, "not readable as JSON"),
    "nested deeply": (DEEP.encode(), JSON, 400, "not readable as JSON"),
    "half a character": (b'{"definition": {"name": "\\ud800"}}', JSON, 400, "not readable as JSON"),
    "a number of a million digits": (b'{"a": ' + b"9" * 100_000 + b"}", JSON, 400, "not readable as JSON"),
    "half a TOML": (b"name = ", TOML, 400, "not readable as TOML"),
    "TOML twice": (b"a = 1\na = 2", TOML, 400, "not readable as TOML"),
    "TOML in Latin-1": ("name = 'é'".encode("latin-1"), TOML, 400, "not readable as TOML"),
    "TOML nested deeply": (f"a = {DEEP}".encode(), TOML, 400, "not readable as TOML"),
    "empty TOML": (b"", TOML, 422, "the definition: 'name' is missing"),
    "no content type": (body(), None, 415, "expected a body with Content-Type: application/toml"),
    "a form": (b"definition=x", "application/x-www-form-urlencoded", 415, "expected a body with Content-Type"),
    "plain text": (body(), "text/plain", 415, "expected a body with Content-Type"),
    "a page": (body(), "text/html; charset=utf-8", 415, "expected a body with Content-Type"),
    "a list": (b"[]", JSON, 422, "the body = []; expected an object"),
    "a number": (b"7", JSON, 422, "the body = 7; expected an object"),
    "null": (b"null", JSON, 422, "the body = null; expected an object"),
    "no definition": (b"{}", JSON, 422, "'definition' is missing"),
    "a definition of text": (body("x"), JSON, 422, "definition = 'x'; expected an object"),
    "an unknown key": (body(prioritty=3), JSON, 422, "unknown key 'prioritty'; did you mean 'priority'?"),
    "a large priority": (body(priority=1001), JSON, 422, "priority = 1001; expected 1000 or less"),
    "a small priority": (body(priority=-1001), JSON, 422, "priority = -1001; expected -1000 or more"),
    "a priority of text": (body(priority="high"), JSON, 422, "priority = 'high'; expected a whole number"),
    "a priority in quotes": (body(priority="5"), JSON, 422, "priority = '5'; expected a whole number"),
    "a priority that is true": (body(priority=True), JSON, 422, "priority = true; expected a whole number"),
    "workers in quotes": (body(max_workers="5"), JSON, 422, "max_workers = '5'; expected a whole number"),
    "a broken priority": (body(priority=1.5), JSON, 422, "priority = 1.5; expected a whole number"),
    "a priority without end": (body(priority=10**400), JSON, 422, "priority = "),
    "no workers": (body(max_workers=0), JSON, 422, "max_workers = 0; expected 1 or more"),
    "many workers": (body(max_workers=10_001), JSON, 422, "max_workers = 10001; expected 10000 or less"),
    "workers as a list": (body(max_workers=[1]), JSON, 422, "max_workers = [1]; expected a whole number"),
    "an empty label": (body(label=""), JSON, 422, "label = ''; expected 1 to 100 printable characters"),
    "a label of blanks": (body(label=" "), JSON, 422, "label = ' '; expected 1 to 100 printable characters"),
    "a long label": (body(label="l" * 101), JSON, 422, "expected 1 to 100 printable characters"),
    "a label of two lines": (body(label="a\nb"), JSON, 422, "label = 'a\\nb'; expected 1 to 100 printable characters"),
    "an unknown need": (body(needs="tpu"), JSON, 422, "needs = 'tpu'; expected 'gpu'"),
    "a tag of two words": (
        body(tags=["a b"]), JSON, 422, "tags.0 = 'a b'; expected up to 60 characters without spaces and commas",
    ),
    "many tags": (body(tags=["a"] * 101), JSON, 422, "; expected up to 100 of them"),
    "a tag with a NUL": (body(tags=["a\0"]), JSON, 422, "expected printable characters"),
    "tags as text": (body(tags="a"), JSON, 422, "tags = 'a'; expected a list"),
    "a long note": (body(note="n" * 1001), JSON, 422, "expected up to 1000 characters"),
    "an empty study": (body(study=""), JSON, 422, "study: '' cannot be a study's name"),
    "a study of spaces": (body(study="  "), JSON, 422, "cannot be a study's name"),
    "a study like an option": (body(study="--help"), JSON, 422, "cannot be a study's name"),
    "a study with a NUL": (body(study="a\0b"), JSON, 422, "cannot be a study's name"),
    "a study of the folder above": (body(study=".."), JSON, 422, "study: '..' cannot be a study's name"),
    "a study with a slash at its end": (body(study="a/"), JSON, 422, "study: 'a/' cannot be a study's name"),
    "a long study": (body(study="s" * 301), JSON, 422, "cannot be a study's name"),
    "a study of numbers": (body(study=7), JSON, 422, "study = 7; expected text"),
    "a sweep without a name": (body(table(name=None)), JSON, 422, "the definition: 'name' is missing"),
    "a sweep with an unknown key": (body(table(epoch=2)), JSON, 422, "unknown key 'epoch'; did you mean 'epochs'?"),
    "an unknown optimizer": (body(table(optimizer="adaam")), JSON, 422, "did you mean 'adam'?"),
    "epochs below 1": (body(table(epochs=0)), JSON, 422, "the definition: epochs = 0; expected 1 or more"),
    "epochs as text": (body(table(epochs="2")), JSON, 422, "epochs = '2'; expected a whole number"),
    "no trials": (body(table(trials=0)), JSON, 422, "trials = 0"),
    "too many trials": (body(table(trials=10**7)), JSON, 422, "trials = 10000000; expected 1000000 or less"),
    "a space that is a list": (body(table(space=[1])), JSON, 422, "the definition"),
    "an empty space": (body(table(space={})), JSON, 422, "the definition"),
    "a range upside down": (
        body(table(space={"learning_rate": {"low": 2.0, "high": 1.0}})), JSON, 422, "[space]",
    ),
    "an unknown hyperparameter": (body(table(space={"lr": [0.1]})), JSON, 422, "[space]"),
    "a network too large": (body(table(model={"hidden": [100_000, 100_000]})), JSON, 422, "weights"),
    "data that is a text": (body(table(data="digits")), JSON, 422, "data = 'digits'; expected a table of keys"),
    "data without a name": (body(table(data={"validation": 9})), JSON, 422, "[data]"),
    "an unknown pruner": (body(table(pruner={"name": "medain"})), JSON, 422, "did you mean 'median'?"),
    "a start that is not there": (body(table(start={"study": "nobody", "top": 2})), JSON, 422, "no study 'nobody'"),
    "a model that is a number": (body(table(model=3)), JSON, 422, "model = 3"),
    "a build that is a number": (body(table(model={"build": 3})), JSON, 422, "build = 3"),
    "a file that is a list": (body(table(data={"file": ["a"], "validation": 9})), JSON, 422, "file"),
    "a model's file": (body(table(model={"build": "m.py:net"})), JSON, 403, "this server takes none"),
    "a model's module": (body(table(model={"build": "keras.models:Sequential"})), JSON, 403, "this server takes none"),
    "a data file": (body(table(data={"file": "/etc/passwd", "validation": 9})), JSON, 403, "this server takes none"),
    "a test file": (
        body(table(data={"name": "digits", "validation": 9, "test_file": "/etc/passwd"})), JSON, 403, "takes none",
    ),
    "data whose code is elsewhere": (body(named("huggingface:mnist")), JSON, 403, "not the plain name of a data set"),
    "data by a path": (body(named("../../mnist")), JSON, 403, "not the plain name of a data set"),
    "data in a folder": (body(named("/etc/passwd")), JSON, 403, "not the plain name of a data set"),
    "data of no name": (body(named("")), JSON, 403, "not the plain name of a data set"),
    "a file in TOML": (
        tomli_w.dumps(table(model={"build": "m.py:net"})).encode(), TOML, 403, "this server takes none",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "kind", "status", "line"), BODIES.values(), ids=BODIES)
def test_a_wrong_submission_is_refused_in_one_line_and_leaves_nothing(held, content, kind, status, line):
    refused = held.ask("POST", "/v1/sweeps", content, kind, scope=Scope.SUBMIT)
    assert refused.status == status, refused.body
    assert line in refused.error
    assert str(held.folder) not in refused.error


@pytest.mark.parametrize(
    ("content", "status", "line"),
    [
        (b"", 400, "not readable as JSON"),
        (b"{}", 422, "nothing to change; expected wish, priority or trials"),
        (b'{"wish": null}', 422, "nothing to change"),
        (b'{"wish": "pausing"}', 422, "wish = 'pausing'; expected 'run', 'pause' or 'stop'"),
        (b'{"wish": ["pause"]}', 422, "wish = ['pause']"),
        (b'{"priority": "7"}', 422, "priority = '7'; expected a whole number"),
        (b'{"priority": true}', 422, "priority = true; expected a whole number"),
        (b'{"priority": 1e99}', 422, "priority = "),
        (b'{"priority": 5000, "wish": "stop"}', 422, "priority = 5000"),
        (b'{"trials": 0}', 422, "trials = 0; expected 1 or more"),
        (b'{"trials": 1000001}', 422, "trials = 1000001"),
        (b'{"trials": 2.5}', 422, "trials = 2.5"),
        (b'{"owner": "me"}', 422, "unknown key 'owner'; known: priority, trials, wish"),
        (b"[1, 2]", 422, "the body = [1, 2]"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(held, content, status, line):
    refused = held.ask("PATCH", "/v1/sweeps/x", content, JSON, scope=Scope.SUBMIT)
    assert refused.status == status
    assert line in refused.error


@pytest.mark.parametrize(
    ("method", "path", "status", "line"),
    [
        ("GET", "/v1/sweeps/nobody", 404, "no study 'nobody'; known: x"),
        ("GET", "/v1/sweeps/x/", 404, "no study 'x/'"),
        ("GET", "/v1/sweeps/x%00", 404, "there is no study of that name"),
        ("GET", "/v1/sweeps/%FF", 404, "no study"),
        ("GET", "/v1/sweeps/a%0Ab", 404, "there is no study of that name"),
        ("GET", "/v1/a%0Ab%1B", 404, "there is nothing at /v1/a%0Ab%1B; /v1/docs"),
        ("DELETE", "/v1/sweeps/a%0Ab", 405, "DELETE is not for /v1/sweeps/a%0Ab"),
        ("POST", "/v1/sweeps?study=%ff", 422, "the query is not UTF-8"),
        ("GET", "/v1/events?count=%ff", 422, "the query is not UTF-8"),
        ("GET", "/v1/sweeps/" + "s" * 5000, 404, "no study"),
        ("GET", "/v1/sweeps/..%2f..%2fetc%2fpasswd", 404, "no study '../../etc/passwd'"),
        ("GET", "/v1/sweeps/x'%20OR%201=1", 404, "no study"),
        ("GET", "/v1/sweeps/", 404, "there is nothing at /v1/sweeps/"),
        ("GET", "/v1", 404, "there is nothing at /v1; /v1/docs lists what there is"),
        ("GET", "/v2/sweeps", 404, "there is nothing at"),
        ("GET", "/page.css/../page.js", 404, "there is nothing at"),
        ("GET", "/v1/events/nobody", 404, "no study 'nobody'"),
        ("GET", "/v1/trials/nobody", 404, "no study 'nobody'"),
        ("GET", "/v1/export/nobody", 404, "no study 'nobody'"),
        ("GET", "/v1/export/x?format=yaml", 422, "format = 'yaml'; expected 'json'"),
        ("GET", "/v1/export/x?trial=-1", 422, "trial = '-1'; expected 0 or more"),
        ("GET", "/v1/export/x?trial=0&top=2", 422, "expected trial or top, not both"),
        ("GET", "/v1/export/x?trial=0", 404, "has no trial 0"),
        ("GET", "/v1/events?count=0", 422, "count = '0'"),
        ("GET", "/v1/events?count=1e9", 422, "count = '1e9'; expected a whole number"),
        ("GET", "/v1/events?count=" + "9" * 30, 422, "count"),
        ("GET", "/v1/events?after=-1", 422, "after = '-1'"),
        ("GET", "/v1/events?count=1&count=2", 422, "'count' is there more than once"),
        ("GET", "/v1/events?limit=5", 422, "unknown key 'limit'"),
        ("GET", "/v1/sweeps?state=done", 422, "unknown key 'state'; expected no keys"),
        ("GET", "/v1/sweeps/x?top=many", 422, "top = 'many'"),
        ("GET", "/v1/trials/x?count=99999", 422, "count = '99999'"),
        ("DELETE", "/v1/sweeps/x", 405, "DELETE is not for /v1/sweeps/x"),
        ("PUT", "/v1/sweeps", 405, "PUT is not for /v1/sweeps"),
        ("POST", "/v1/workers", 405, "POST is not for /v1/workers"),
        ("POST", "/healthz", 405, "POST is not for /healthz"),
        ("OPTIONS", "/v1/sweeps", 405, "OPTIONS is not for /v1/sweeps"),
        ("PATCH", "/v1/workers/nobody", 400, "not readable as JSON"),
    ],
)
def test_a_wrong_path_or_query_is_refused(held, method, path, status, line):
    refused = held.ask(method, path, scope=Scope.ADMIN, kind={"PATCH": JSON, "POST": TOML}.get(method))
    assert refused.status == status, refused.body
    assert line in refused.error
    assert (status == 405) == ("allow" in refused.headers)
    assert str(held.folder) not in refused.error


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, "'draining' is missing"),
        ({"draining": False}, "draining = false; expected true"),
        ({"draining": 1}, "draining = 1; expected true"),
        ({"draining": "yes"}, "draining = 'yes'; expected true"),
        ({"draining": True, "name": "y"}, "unknown key 'name'; known: draining"),
    ],
)
def test_a_worker_can_only_be_drained(held, content, line):
    refused = held.patch("/v1/workers/nobody", content, scope=Scope.ADMIN)
    assert (refused.status, refused.error) == (422, line)


def test_a_body_of_more_than_a_mebibyte_is_refused(held):
    assert held.ask("POST", "/v1/sweeps", b" " * MAX_BODY, JSON, scope=Scope.SUBMIT).status == 400
    for size in (MAX_BODY + 1, 3 * MAX_BODY):
        refused = held.ask("POST", "/v1/sweeps", b" " * size, JSON, scope=Scope.SUBMIT)
        assert (refused.status, refused.error) == (413, "the body is larger than 1 MiB")
    assert held.ask("PATCH", "/v1/sweeps/x", b" " * (MAX_BODY + 1), JSON, scope=Scope.SUBMIT).status == 413
    form = b"token=" + b"x" * (MAX_BODY + 1)
    assert held.ask("POST", "/login", form, "application/x-www-form-urlencoded").status == 413


def test_a_body_that_never_comes_keeps_nobody_waiting(held):
    with socket.create_connection(("127.0.0.1", held.port)) as silent:
        silent.sendall(b"POST /v1/sweeps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n{")
        for _ in range(10):
            assert held.get("/v1/sweeps").status == 200


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"])
def test_what_is_not_http_gets_no_traceback(held, raw):
    with socket.create_connection(("127.0.0.1", held.port), timeout=5) as connection:
        connection.sendall(raw + b"\r\n\r\n")
        assert b"Traceback" not in connection.recv(4096)
    assert held.get("/healthz").status == 200


@pytest.fixture
def homes(tmp_path):
    """A server that takes files from `sweeps`, beside a folder whose files it must not take."""
    inside, outside = tmp_path / "sweeps", tmp_path / "sweeps-private"
    for folder in (inside, inside / "deep", outside):
        folder.mkdir()
        (folder / "model.py").write_text(MODEL)
        (folder / "data.csv").write_text("a,y\n1,0\n2,1\n")
    (inside / "link.py").symlink_to(outside / "model.py")
    (inside / "away").symlink_to(outside)
    (inside / "round").symlink_to(inside / "round")
    (tmp_path / "door").symlink_to(inside)
    (tmp_path / "base").mkdir()
    with serving(tmp_path / "base", sweeps=tmp_path / "door") as client:
        client.inside, client.outside = inside, outside
        yield client


@pytest.mark.parametrize("place", ["model.py", "deep/model.py", "./deep/../model.py", "{inside}/model.py"])
def test_a_model_in_the_folder_is_accepted(homes, place):
    place = place.format(inside=homes.inside)
    made = homes.submit("x", model={"build": f"{place}:net"})
    assert made.status == 201, made.body
    held = find_study(homes.service.storage, "x").sweep.model
    assert held.build.startswith(str(homes.inside.resolve()))
    assert held.source == MODEL


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "mnist:3.0.1", "emnist/letters:3.1.0"])
def test_data_is_accepted_by_its_plain_name(homes, name):
    assert homes.submit("x", data={"name": name, "validation": 9}).status == 201


def test_data_in_the_folder_is_accepted(homes):
    data = {"file": "data.csv", "target": "y", "validation": 0.2, "test": 0.2}
    assert homes.submit("x", data=data).status == 201
    assert find_study(homes.service.storage, "x").sweep.data.file.path == str(homes.inside.resolve() / "data.csv")


@pytest.mark.parametrize(
    "place",
    [
        "../sweeps-private/model.py",
        "deep/../../sweeps-private/model.py",
        "{outside}/model.py",
        "link.py",
        "away/model.py",
        "round/model.py",
        "/etc/passwd.py",
        "~/model.py",
        "//model.py",
        "/proc/self/environ.py",
        "a\0b.py",
        "m" * 5000 + ".py",
        "keras.models",
        "os",
        "no.such.module",
    ],
)
def test_a_model_elsewhere_is_refused_before_anybody_looks_at_it(homes, place):
    place = place.format(outside=homes.outside)
    refused = homes.post("/v1/sweeps", {"definition": TINY | {"model": {"build": f"{place}:net"}}, "study": "x"})
    if place.startswith("~") or "round" in place or len(place) > 5000:  # no such file in the folder
        assert refused.status in (403, 422)
    else:
        assert refused.status == 403, refused.body
        assert "is not in the folder that this server takes files from" in refused.error
    assert studies(homes.service.storage) == []


GONE = "there is no file {}; if it moved, name the folder that it is in now: --data-dir DIR"


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({"data": {"file": "none.csv", "target": "y", "validation": 0.2}}, GONE.format("none.csv")),
        (
            {"data": {"file": "data.csv", "test_file": "deep/none.csv", "target": "y", "validation": 0.2}},
            GONE.format("deep/none.csv"),
        ),
        ({"data": {"file": "", "target": "y", "validation": 0.2}}, "[data] file = ''; expected a file that ends with"),
        ({"model": {"build": "m.py"}}, "build = 'm.py'; expected a file or a module with a function"),
        ({"model": {"build": ":net"}}, "build = ':net'; expected a file or a module with a function"),
        ({"model": {"build": "gone.py:net"}}, "build = 'gone.py:net', but gone.py cannot be read: No such file"),
        ({"model": {"build": "model.py:other"}}, "model.py defines no function 'other'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_the_name_that_was_given(homes, part, line):
    refused = homes.submit("x", **part)
    assert (refused.status, line in refused.error) == (422, True), refused.body
    assert str(homes.inside.resolve()) not in refused.error
    assert studies(homes.service.storage) == []


@pytest.mark.parametrize("key", ["file", "test_file"])
@pytest.mark.parametrize("place", ["../sweeps-private/data.csv", "{outside}/data.csv", "away/data.csv", "/etc/passwd"])
def test_data_elsewhere_is_refused(homes, key, place):
    data = {"file": "data.csv", "target": "y", "validation": 0.2, key: place.format(outside=homes.outside)}
    refused = homes.submit("x", data=data)
    assert (refused.status, f"[data] {key} = " in refused.error) == (403, True)
    assert studies(homes.service.storage) == []


def test_a_database_that_does_not_answer_is_a_503_with_retry_after(tmp_path, caplog):
    with serving(tmp_path) as client:
        client.submit("x")
        os.rename(tmp_path / "served.db", tmp_path / "away.db")
        refused = client.submit("y")
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.error == "the database does not answer; the server's log says why"
        assert f"{tmp_path}/served.db was moved" in caplog.text
        ready = client.get("/readyz")
        assert (ready.status, ready.json["ready"]) == (503, False)
        assert client.get("/healthz").status == 200
        os.rename(tmp_path / "away.db", tmp_path / "served.db")
        assert client.submit("y").status == 201
        client.service.readiness.forget()  # it is kept for a moment
        assert client.get("/readyz").status == 200
