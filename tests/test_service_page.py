"""What the page for people shows: owners, tags, notes, why a study waits, and what it shows during an outage."""

import json
import os
import re
import time

import pytest
from werkzeug import Response

from optbench.errors import StorageError
from optbench.service.web import pages
from optbench.service.web.tokens import Scope
from optbench.storage import find_study
from optbench.storage.candidates import candidates, read_queue
from optbench.storage.event_log import EventKind, note
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import read_places
from tests.commands import in_process
from tests.conftest import statements
from tests.filled import fill, peak, search
from tests.service import serving

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def client(tmp_path):
    """A server without tokens."""
    with serving(tmp_path, tokens=False) as made:
        yield made


def post(client, study, **more):
    made = client.post("/v1/sweeps", {"definition": search(trials=4).definition(), "study": study, **more}, scope=None)
    assert made.status in (200, 201), made.body
    return find_study(client.service.storage, study).study_id


def page(client):
    """The text of the page, with one space for all space between words."""
    client.service.snapshots.forget()
    return " ".join(client.get("/", scope=None).body.decode().split())


def section(text, heading):
    (found,) = re.findall(rf"<h2>{heading} .*?</section>", text)
    return found


def test_the_queue_and_the_studies_show_owner_tags_and_note(client):
    post(client, "x", tags=["team-a", "<b>"], note=f"for Monday {HOSTILE}", label="lab", needs="gpu")
    text = page(client)
    assert "by olga," in section(text, "Queue")
    assert 'data-title="owner" class="long">olga</td>' in section(text, "Studies")
    for part in (section(text, "Queue"), section(text, "Studies")):
        for shown in (
            '<span class="tag">team-a</span>',
            '<span class="tag">&lt;b&gt;</span>',
            "for Monday &lt;img src=x",
        ):
            assert shown in part, shown
    assert "label lab" in section(text, "Queue")
    assert "needs gpu" in section(text, "Queue")
    assert HOSTILE not in text


def decline(client, study, worker, why):
    client.service.storage.write(lambda session: note(session, EventKind.DECLINED, why, study=study, worker=worker))


def place_of(client, study):
    return client.get(f"/v1/sweeps/{study}", scope=None).json["queue"]


def test_a_study_that_waits_shows_which_workers_declined_it_and_why(client):
    post(client, "x")
    post(client, "y")
    assert place_of(client, "x")["declined"] is None
    for worker, why in (("w1", "there is no a.csv"), ("w2", "there is no b.csv"), ("w2", "there is no <c>.csv")):
        decline(client, "x", worker, why)
    assert "declined by 2 workers; last reason: there is no &lt;c&gt;.csv" in page(client)
    assert place_of(client, "x")["declined"] == {"workers": 2, "reason": "there is no <c>.csv"}
    assert place_of(client, "y")["declined"] is None
    client.patch("/v1/sweeps/x", {"wish": "pause"}, scope=None)
    assert "declined by" not in page(client)
    time.sleep(1.1)  # the database's clock counts seconds
    client.patch("/v1/sweeps/x", {"wish": "run"}, scope=None)
    assert place_of(client, "x")["declined"] is None, "it was asked for again"
    decline(client, "x", "w1", "no data")
    assert "declined by 1 worker; last reason: no data" in page(client)


def test_who_declined_is_read_once_for_all_and_never_for_workers(client):
    for number in range(5):
        post(client, f"s{number}")
    storage = client.service.storage
    with statements(storage) as sent:
        storage.read(read_queue)
    assert sum("optbench_events" in one for one in sent) == 1
    with statements(storage) as sent:
        storage.read(lambda session: candidates(session, read_places(session)))
    assert not any("optbench_events" in one for one in sent)


def test_a_finished_study_that_still_has_its_place_is_done_everywhere(client):
    post(client, "x")
    fill(client.service.storage, find_study(client.service.storage, "x"), peak)
    text = page(client)
    for heading in ("Queue", "Studies"):
        assert re.findall(r'<span class="state (\w+)">(\w+)<', section(text, heading)) == [("done", "done")]
    assert place_of(client, "x")["state"] == "done"
    storage = ("--storage", client.service.storage.url)
    server = ("--server", f"http://127.0.0.1:{client.port}")
    for where in (storage, server):
        assert [one["state"] for one in json.loads(in_process("queue", "--json", *where))] == ["done"]
        assert " done " in in_process("queue", *where)


def test_the_workers_show_label_and_gpu(client):
    PoolWorker(client.service.storage, label="lab <i>", gpu=True, cores=2).heartbeat()
    part = section(page(client), "Workers")
    assert 'data-title="label" class="long">lab &lt;i&gt;</td>' in part
    assert 'data-title="GPU">yes</td>' in part


def test_a_narrow_page_does_not_scroll_sideways(client, chromium, tmp_path):
    long = "w" * 60
    post(client, "s" * 120, tags=[f"{number}{long}"[:60] for number in range(9)], note="n" * 500, label="l" * 100)
    PoolWorker(client.service.storage, label="l" * 100, gpu=True, cores=2).heartbeat()
    probe = "<script>addEventListener('load', () => { const all = [...document.querySelectorAll('body, body *')]; "
    probe += "document.title = Math.max(...all.map((one) => one.getBoundingClientRect().right)); })</script>"
    probe += "<style>html { width: 390px; }</style>"  # a browser without a window has 500 or more
    style = f"<style>{client.get('/page.css', scope=None).body.decode()}</style>"
    copy = client.get("/", scope=None).body.decode().replace('<link rel="stylesheet" href="/page.css">', style + probe)
    (tmp_path / "copy.html").write_text(copy)
    shown = chromium(f"file://{tmp_path}/copy.html", tmp_path, "--window-size=390,900").stdout
    assert float(re.search(r"<title>([0-9.]+)</title>", shown)[1]) <= 390


def in_browser(client, chromium, folder, monkeypatch, probe, seconds=12, path="/"):
    """The page after a while in a browser, whose script goes on with the probe."""
    original = pages.asset
    script = original("page.js").get_data(as_text=True) + probe

    def asset(name):
        return Response(script, content_type="text/javascript") if name == "page.js" else original(name)

    monkeypatch.setattr(pages, "asset", asset)
    shown = chromium(f"http://127.0.0.1:{client.port}{path}", folder, f"--virtual-time-budget={1000 * seconds}")
    assert "Uncaught" not in shown.stderr
    return shown.stdout


def looks(client, *answers):
    """Let the page find these one after another, snapshots or errors, and then the last one again and again."""
    left = list(answers)

    def get():
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    client.service.snapshots.get = get


def snapshot(client):
    client.service.snapshots.forget()
    return client.service.snapshots.get()


def outage(client):
    return StorageError(f"storage {client.service.storage.url}: unable to open database file", passing=True)


def test_an_open_page_says_since_when_the_database_has_not_answered(client, chromium, tmp_path, monkeypatch):
    post(client, "team/x")
    looks(client, snapshot(client), outage(client))
    shown = in_browser(client, chromium, tmp_path, monkeypatch, "")
    assert re.search(r"The database has not answered since \d\d:\d\d:\d\d UTC; this is what it held then\.", shown)
    assert "unable to open" not in shown
    assert 'class="outdated"' in shown
    assert "team/x" in shown


def test_why_a_button_was_refused_stays_on_the_open_page(client, chromium, tmp_path, monkeypatch):
    before = snapshot(client)
    post(client, "team/later")
    looks(client, before, snapshot(client))
    place = f"/?refusal={client.service.refusals.keep('there is no study of that name')}"
    shown = in_browser(client, chromium, tmp_path, monkeypatch, "", path=place)
    assert "team/later" in shown, "the page was brought up to date"
    assert "there is no study of that name" in shown


def test_an_open_page_goes_on_after_an_outage(client, chromium, tmp_path, monkeypatch):
    before = snapshot(client)
    post(client, "team/later")
    looks(client, before, outage(client), snapshot(client))
    shown = in_browser(client, chromium, tmp_path, monkeypatch, "", seconds=16)
    assert "has not answered since" not in shown
    assert "team/later" in shown


def test_the_page_is_brought_up_to_date_around_a_field_that_somebody_uses(client, chromium, tmp_path, monkeypatch):
    post(client, "team/kept")
    before = snapshot(client)
    post(client, "team/later", priority=9)
    PoolWorker(client.service.storage, label="lately", gpu=True, cores=2).heartbeat()
    looks(client, before, snapshot(client))
    probe = """
    const field = document.querySelector("[name=priority]");
    field.focus();
    field.value = "77";
    const state = () => `${document.activeElement === field} ${field.isConnected} ${field.value}`;
    setTimeout(() => { document.title = state(); }, 9000);
    """
    shown = in_browser(client, chromium, tmp_path, monkeypatch, probe)
    assert "<title>true true 77</title>" in shown
    assert "lately" in shown
    names = re.findall(r'<a class="name"[^>]*>([^<]*)</a>', shown)
    assert names == ["team/later", "team/kept"]


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_browsers_get_errors_as_small_pages_and_programs_as_json(client):
    for path in ("/nothing", "/v1/sweeps/nobody"):
        found = client.ask("GET", path, Accept=BROWSER)
        assert (found.status, found.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert 'href="/"' in found.body.decode()
        assert client.ask("GET", path).error
        assert client.ask("GET", path, Accept="*/*").error
    elsewhere = client.ask("GET", "/dashboard/", Accept=BROWSER, Host="evil.example")
    assert (elsewhere.status, b"this host name is not served" in elsewhere.body) == (403, True)
    assert b"http-equiv" not in elsewhere.body
    assert client.ask("GET", "/%3Cscript%3E", Accept=BROWSER).body.count(b"<script") == 0


def stop_database(client):
    """Let every look at the database fail."""
    os.rename(client.folder / "served.db", client.folder / "away.db")
    client.service.storage.engine.dispose()
    client.service.storage.optuna.engine.dispose()
    client.service.snapshots.forget()


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/dashboard/studies/1", "/api/studies", "/v1/sweeps", "/metrics"])
def test_during_an_outage_everything_answers_503_in_one_line(client, caplog, capfd, path):
    folder = client.folder
    client.submit("x", scope=None)
    stop_database(client)
    for accept, kind in ((None, "application/json"), (BROWSER, "text/html; charset=utf-8")):
        found = client.ask("GET", path, **({} if accept is None else {"Accept": accept}))
        assert (found.status, found.headers["retry-after"], found.headers["content-type"]) == (503, "5", kind)
        assert str(folder) not in found.body.decode()
        assert accept is None or b'http-equiv="refresh"' in found.body
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())
    os.rename(folder / "away.db", folder / "served.db")
    client.service.snapshots.forget()
    assert client.ask("GET", path).status == 200


def test_nobody_who_asks_learns_where_the_database_is(client, caplog):
    said = 'connection to server at "db.internal" (10.0.0.5), port 5432 failed'
    looks(client, StorageError(f"storage postgresql+psycopg://ann:***@db.internal:5432/x: {said}", passing=True))
    for accept in ("application/json", BROWSER):
        found = client.ask("GET", "/", Accept=accept)
        assert found.status == 503
        assert b"the database does not answer; the server" in found.body
        assert not re.search(rb"db\.internal|10\.0\.0\.5|ann:", found.body)
    assert said in caplog.text


def test_the_icon_needs_no_token_and_what_is_beside_it_does(tmp_path, chromium):
    with serving(tmp_path) as client:
        assert client.ask("GET", "/favicon.ico").status == 200
        assert client.ask("GET", "/favicon.icon").status == 401
        assert client.ask("GET", "/static/bundle.js").status == 401
        assert client.get("/favicon.ico", scope=Scope.READ).status == 200
        shown = chromium(f"http://127.0.0.1:{client.port}/", tmp_path)
    assert 'type="password"' in shown.stdout
    assert "status of 401" not in shown.stderr
