"""Who is let in: tokens and their file, logins of browsers, forms of other sites, host names, and wrong tokens."""

import json
import os
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock
from urllib.parse import urlencode

import pytest

from optbench.errors import DefinitionError, OptbenchError, StorageError
from optbench.service.web.sessions import FAILURES, LIFETIME, WINDOW, Failures, Sessions
from optbench.service.web.tokens import Scope, TokenFile
from optbench.storage import find_study
from optbench.storage.event_log import recent_events
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import find_place
from tests.commands import in_process
from tests.service import JSON, serving

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client(tmp_path):
    with serving(tmp_path) as made:
        yield made


def form(client, path, cookie=None, **fields):
    """The reply to a form that a browser sends."""
    more = {} if cookie is None else {"Cookie": cookie}
    origin = fields.pop("origin", f"http://127.0.0.1:{client.port}")
    return client.ask("POST", path, urlencode(fields).encode() or b"x=", FORM, Origin=origin, **more)


def log_in(client, scope):
    """The cookie of a browser that logged in, and the word that its forms carry."""
    reply = form(client, "/login", token=client.secrets[scope])
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"].partition(";")[0]
    page = client.ask("GET", "/", Cookie=cookie).body.decode()
    return cookie, re.search(r'name="csrf" value="([^"]+)"', page)[1]


def test_a_token_is_printed_once_and_only_its_hash_is_kept(tmp_path):
    secret = in_process("token", "add", "ada", "--scope", "submit", "--tokens", "t.json", cwd=tmp_path).strip()
    file = tmp_path / "t.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text()
    assert len(secret) >= 43 + len("optbench_")
    token = TokenFile(file).find(secret)
    assert (token.name, token.scope) == ("ada", Scope.SUBMIT)
    assert TokenFile(file).find(secret[:-1]) is None
    listed = json.loads(in_process("token", "list", "--tokens", "t.json", "--json", cwd=tmp_path))
    assert [(one["name"], one["scope"]) for one in listed] == [("ada", "submit")]
    title, row = in_process("token", "list", "--tokens", "t.json", cwd=tmp_path).splitlines()
    assert title.split() == ["name", "scope", "created"]
    assert row.startswith("ada   submit  2")
    assert "is removed" in in_process("token", "remove", "ada", "--tokens", "t.json", cwd=tmp_path)
    assert TokenFile(file).find(secret) is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("add", "ada"), "token 'ada' is there already"),
        (("add", "a b"), "expected a name of 1 to 100 letters"),
        (("add", ""), "expected a name of 1 to 100 letters"),
        (("add", "x" * 101), "expected a name of 1 to 100 letters"),
        (("add", "bob", "--scope", "root"), "--scope root: no such scope; known: admin, read, submit"),
        (("remove", "adda"), "there is no token 'adda'; did you mean 'ada'?"),
    ],
)
def test_wrong_commands_about_tokens_are_refused(tmp_path, words, line):
    TokenFile(tmp_path / "t.json").add("ada", Scope.READ)
    before = (tmp_path / "t.json").read_bytes()
    assert line in in_process("token", *words, "--tokens", "t.json", cwd=tmp_path, code=2)
    assert (tmp_path / "t.json").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"version": 2, "tokens": []}', b'{"version": 1, "tokens": [{}]}']
)
def test_a_damaged_file_of_tokens_is_refused_and_kept(tmp_path, content):
    file = tmp_path / "t.json"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(DefinitionError, match="--tokens"):
        TokenFile(file).tokens()
    with pytest.raises(OptbenchError):
        TokenFile(file).add("ada", Scope.READ)
    assert file.read_bytes() == content


def test_a_file_that_others_can_read_and_a_folder_that_is_not_there_are_refused(tmp_path):
    TokenFile(tmp_path / "t.json").add("ada", Scope.READ)
    (tmp_path / "t.json").chmod(0o640)
    with pytest.raises(DefinitionError, match="chmod 600"):
        TokenFile(tmp_path / "t.json").tokens()
    assert "cannot be written" in in_process("token", "add", "a", "--tokens", "no/t.json", cwd=tmp_path, code=2)


def test_tokens_that_are_added_at_once_are_all_kept(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: TokenFile(tmp_path / "t.json").add(f"n{number}", Scope.READ), range(16)))
    assert len(TokenFile(tmp_path / "t.json").tokens()) == 16
    assert os.listdir(tmp_path) == ["t.json"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Token x", "Bearer optbench_" + "x" * 43, "\xff"]
)
def test_a_wrong_token_is_refused(client, header):
    refused = client.ask("GET", "/v1/sweeps", Authorization=header)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="optbench"')
    assert refused.error


def test_a_removed_token_ends_at_once_and_so_does_its_login(client):
    cookie, _ = log_in(client, Scope.READ)
    assert client.get("/v1/sweeps").status == 200
    client.service.gate.tokens.remove("rita")
    assert client.get("/v1/sweeps").status == 401
    assert client.ask("GET", "/v1/sweeps", Cookie=cookie).status == 401
    assert client.get("/v1/sweeps", scope=Scope.ADMIN).status == 200


def test_nobody_is_let_in_while_the_tokens_cannot_be_read(client):
    path = client.service.gate.tokens.path
    path.chmod(0o644)
    refused = client.get("/v1/sweeps")
    assert (refused.status, refused.error) == (503, "the server cannot read its tokens")
    path.chmod(0o600)
    assert client.get("/v1/sweeps").status == 200


def test_too_many_wrong_tokens_are_not_answered_any_more_and_right_ones_are(client):
    statuses = [client.ask("GET", "/v1/sweeps", secret="wrong").status for _ in range(FAILURES + 2)]
    assert statuses == [401] * FAILURES + [429] * 2
    limited = form(client, "/login", token="wrong")
    assert (limited.status, 0 < int(limited.headers["retry-after"]) <= WINDOW) == (429, True)
    assert b"too many wrong tokens" in limited.body
    assert client.get("/v1/sweeps").status == 200


def test_wrong_tokens_are_forgotten_after_a_while():
    now = [0.0]
    failures = Failures(lambda: now[0])
    assert [failures.add("a") for _ in range(FAILURES)] == [0] * FAILURES
    assert (failures.add("a"), failures.add("b")) == (WINDOW, 0)
    now[0] = WINDOW + 1
    assert failures.add("a") == 0


def test_a_login_is_over_after_its_time(tmp_path):
    now, file = [0.0], TokenFile(tmp_path / "t.json")
    token = file.find(file.add("ada", Scope.READ))
    sessions = Sessions(lambda: now[0])
    identity = sessions.begin(token)
    assert sessions.find(identity).token == token
    assert sessions.find(identity + "x") is None
    now[0] = LIFETIME + 1
    assert sessions.find(identity) is None


def test_a_browser_logs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(client):
    assert client.ask("GET", "/").headers["location"] == "/login"
    assert client.ask("GET", "/dashboard/").headers["location"] == "/login"
    assert b'type="password"' in client.ask("GET", "/login").body
    reply = form(client, "/login", token=client.secrets[Scope.READ])
    flags = reply.headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
    assert "Secure" not in flags
    safe = client.ask(
        "POST", "/login", urlencode({"token": client.secrets[Scope.READ]}).encode(), FORM, X_Forwarded_Proto="https"
    )
    assert "; Secure" in safe.headers["set-cookie"]
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert client.ask("GET", "/v1/sweeps", Cookie=cookie).status == 200
    assert client.ask("GET", "/v1/sweeps", Cookie=cookie + "x").status == 401
    assert client.secrets[Scope.READ] not in cookie


def test_a_login_from_another_site_is_refused(client):
    assert form(client, "/login", token=client.secrets[Scope.READ], origin="http://evil.example").status == 403
    wrong = form(client, "/login", token="wrong")
    assert (wrong.status, b"no such token" in wrong.body) == (401, True)


def test_a_browser_logs_out(client):
    cookie, csrf = log_in(client, Scope.SUBMIT)
    assert form(client, "/logout", cookie).status == 403
    assert form(client, "/logout", cookie, csrf=csrf).headers["location"] == "/login"
    assert client.ask("GET", "/v1/sweeps", Cookie=cookie).status == 401


def test_buttons_steer_studies_and_drain_workers(client):
    storage = client.service.storage
    client.submit("team/x")
    worker = PoolWorker(storage, label=None, gpu=False, cores=2)
    worker.heartbeat()
    cookie, csrf = log_in(client, Scope.ADMIN)
    for fields in (
        {"action": "pause", "study": "team/x"},
        {"action": "resume", "study": "team/x"},
        {"action": "stop", "study": "team/x"},
        {"action": "priority", "study": "team/x", "priority": "-5"},
        {"action": "drain", "worker": worker.name},
    ):
        assert form(client, "/act", cookie, csrf=csrf, **fields).headers["location"] == "/"
    kinds = [str(event.kind) for event in recent_events(storage)]
    assert kinds == ["submitted", "worker started", "paused", "resumed", "stopped", "priority", "draining"]
    assert find_place(storage, find_study(storage, "team/x").study_id).priority == -5
    assert "5 by ada" in recent_events(storage, "team/x")[-1].text


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"action": "pause", "study": "nobody"}, "no study"),
        ({"action": "pause"}, "no study"),
        ({"action": "delete", "study": "x"}, "is unknown"),
        ({"study": "x"}, "is unknown"),
        ({"action": "priority", "study": "x", "priority": "high"}, "priority = "),
        ({"action": "priority", "study": "x", "priority": "1001"}, "priority = 1001"),
        ({"action": "priority", "study": "x", "priority": "9" * 5000}, "priority = "),
        ({"action": "priority", "study": "x"}, "priority = "),
        ({"action": "drain", "worker": "<b>"}, "no worker"),
        ({"action": "drain", "worker": "a\0b"}, "no worker"),
    ],
)
def test_wrong_forms_lead_to_the_page_which_says_so_once_and_change_nothing(client, fields, line):
    client.submit("x")
    cookie, csrf = log_in(client, Scope.ADMIN)
    before = recent_events(client.service.storage)
    refused = form(client, "/act", cookie, csrf=csrf, **fields)
    assert refused.status == 303
    shown, again = (client.ask("GET", refused.headers["location"], Cookie=cookie) for _ in range(2))
    assert (shown.status, again.status) == (200, 200)
    (said,) = re.findall('<p class="warning" id="refusal" role="alert">(.*?)</p>', shown.body.decode())
    assert line in said
    assert "<b>" not in said
    assert b'id="refusal"' not in again.body
    assert recent_events(client.service.storage) == before


def test_a_button_during_an_outage_leads_to_the_page_which_says_so_once_the_database_answers(client):
    client.submit("x")
    cookie, csrf = log_in(client, Scope.ADMIN)
    with mock.patch.object(client.service.storage, "read", side_effect=StorageError("away", passing=True)):
        pressed = form(client, "/act", cookie, csrf=csrf, action="pause", study="x")
        assert client.ask("GET", pressed.headers["location"], Cookie=cookie).status == 503
    client.service.snapshots.forget()
    shown = client.ask("GET", pressed.headers["location"], Cookie=cookie)
    assert (pressed.status, shown.status) == (303, 200)
    assert b"the database did not answer, so that was perhaps not done" in shown.body


def test_no_address_makes_the_page_say_something_else(client):
    cookie, _ = log_in(client, Scope.READ)
    assert b"nonsense" not in client.ask("GET", "/?refusal=nonsense", Cookie=cookie).body


def test_forms_of_other_sites_and_without_our_word_change_nothing(client):
    client.submit("x")
    cookie, csrf = log_in(client, Scope.SUBMIT)
    pause = {"action": "pause", "study": "x"}
    other, _ = log_in(client, Scope.ADMIN)
    for wrong in ({}, {"csrf": ""}, {"csrf": csrf + "x"}, {"csrf": "é"}):
        assert form(client, "/act", cookie, **pause, **wrong).status == 403
    assert form(client, "/act", other, **pause, csrf=csrf).status == 403
    assert form(client, "/act", cookie, **pause, csrf=csrf, origin="http://evil.example").status == 403
    assert form(client, "/act", None, **pause, csrf=csrf).status == 401
    change = json.dumps({"wish": "pause"}).encode()
    assert client.ask("PATCH", "/v1/sweeps/x", change, JSON, Cookie=cookie).status == 403
    assert client.ask("PATCH", "/v1/sweeps/x", change, JSON, Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    assert len(recent_events(client.service.storage)) == 1
    assert client.ask("PATCH", "/v1/sweeps/x", change, JSON, Cookie=cookie, X_CSRF_Token=csrf).status == 200


def test_who_may_only_read_sees_no_buttons_and_cannot_use_them(client):
    client.submit("x")
    cookie, csrf = log_in(client, Scope.READ)
    assert b'action="/act"' not in client.ask("GET", "/", Cookie=cookie).body
    refused = form(client, "/act", cookie, csrf=csrf, action="pause", study="x")
    assert (refused.status, refused.error) == (403, "this needs a token with the scope submit; 'rita' has read")
    sender, word = log_in(client, Scope.SUBMIT)
    page = client.ask("GET", "/", Cookie=sender).body
    assert (b'value="pause"' in page, b'value="drain"' in page) == (True, False)
    place = form(client, "/act", sender, csrf=word, action="drain", worker="w").headers["location"]
    assert b"this needs a token with the scope admin" in client.ask("GET", place, Cookie=sender).body


@pytest.mark.parametrize(("method", "scope", "status"), [
    ("GET", Scope.READ, 200), ("DELETE", Scope.READ, 403), ("DELETE", Scope.SUBMIT, 403), ("DELETE", Scope.ADMIN, 204),
    ("GET", None, 401),
])  # fmt: skip
def test_the_dashboard_is_read_with_read_and_changed_with_admin(client, method, scope, status):
    client.submit("x")
    path = "/api/studies" if method == "GET" else "/api/studies/1"
    assert client.ask(method, path, scope=scope).status == status
    artifact = client.ask("GET", "/artifacts/1/none", scope=Scope.READ)
    assert "sandbox" in artifact.headers["content-security-policy"]


def test_without_tokens_everybody_on_this_machine_may_do_everything_and_other_sites_nothing(tmp_path):
    with serving(tmp_path, tokens=False) as client:
        assert client.submit("x", scope=None).json["owner"] == "olga"
        page = client.ask("GET", "/")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.body.decode())[1]
        assert form(client, "/act", action="pause", study="x").status == 403
        assert form(client, "/act", action="pause", study="x", csrf=csrf).status == 303
        assert client.ask("GET", "/login").headers["location"] == "/"
        change = json.dumps({"wish": "run"}).encode()
        for headers in (
            {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
            {"Host": "evil.example"},
        ):  # fmt: skip
            assert client.ask("PATCH", "/v1/sweeps/x", change, JSON, **headers).status == 403
            assert client.ask("DELETE", "/api/studies/1", **headers).status == 403
        assert client.ask("GET", "/v1/sweeps", Host="evil.example").status == 403
        assert client.ask("PATCH", "/v1/sweeps/x", change, "text/plain").status == 415
        assert client.ask("PATCH", "/v1/sweeps/x", change, JSON, Host="localhost:1").status == 200


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/login", "/page.css", "/page.js", "/v1/docs", "/v1/openapi.json"]
)
def test_health_and_the_description_need_no_token(client, path):
    reply = client.ask("GET", path)
    assert (reply.status, str(client.folder) in reply.body.decode()) == (200, False)


@pytest.mark.parametrize("path", ["/metrics", "/static/bundle.js", "/api/studies", "/csv/1", "/artifacts/1/abc"])
def test_everything_else_needs_one(client, path):
    assert client.ask("GET", path).status == 401


def test_many_logins_at_once_are_all_kept(client):
    with ThreadPoolExecutor(8) as threads:
        cookies = list(threads.map(lambda _: log_in(client, Scope.READ)[0], range(24)))
    assert len(set(cookies)) == 24
    assert {client.ask("GET", "/v1/sweeps", Cookie=cookie).status for cookie in cookies} == {200}
    assert threading.active_count() < 30
