"""optuna-dashboard on our storage: notes, plots and artifacts of a study, access control, and pages in a browser."""

import base64
import io
import json
import logging
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing, contextmanager

import optuna
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard import get_note, save_note, wsgi
from optuna_dashboard._app import create_app

from optbench.comparison.collect import collect
from optbench.comparison.rows import rows
from optbench.errors import DefinitionError, StorageError
from optbench.report.page import comparison_plots, report
from optbench.service import Guard, read_password, refresh
from optbench.service.artifacts import Store
from optbench.service.rename import Rename
from optbench.service.serve import Refresher, dashboard_application
from optbench.storage import curves, find_study, open_storage, studies
from optbench.storage.about import About, describe
from optbench.storage.notes import edit_note
from optbench.storage.optuna_private import saved_plots, sort_saved_plots
from tests.conftest import OF_A_SEARCH, TINY, opened_copy, statements, train
from tests.filled import confirm, peak, race, run, search
from tests.workers import Workers

PAGES = ("", "/analytics", "/trials", "/trialTable", "/note")


def fetch(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


@contextmanager
def served(url, *options):
    command = [sys.executable, "-u", "-m", "optbench", "dashboard", "--storage", url, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[2]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def trained_url(tmp_path_factory):
    """The URL of a database with a search and a list of fixed trials, both trained."""
    folder = tmp_path_factory.mktemp("dashboard")
    url = f"sqlite:///{folder}/x.db"
    fixed = {k: v for k, v in TINY.items() if k not in OF_A_SEARCH} | {
        "name": "fixed",
        "data": {"name": "digits", "validation": 0},
        "trial": [
            {
                "optimizer": "adam",
                "label": "Adam",
                "learning_rate": 0.01,
                "seeds": [0, 1],
                "published_test_accuracy": 0.9,
            }
        ],
    }
    for table in (TINY, fixed):
        train(table, url)
    return url


def test_the_dashboard_serves_the_studies(trained_url):
    with served(trained_url) as address:
        listed = json.loads(fetch(f"{address}api/studies"))["study_summaries"]
        assert {found["study_name"] for found in listed} == {"tiny", "fixed"}
        assert "<html" in fetch(f"{address}dashboard/").lower()


def test_nobody_can_save_a_note_while_it_is_rewritten(tmp_path):
    """A save between reading and writing a note would be lost, and the version of the note would go back."""
    storage = open_storage(f"sqlite:///{tmp_path}/notes.db", create=True)
    handle = optuna.create_study(study_name="s", storage=storage.optuna)
    save_note(handle, "one")

    def edit(held):
        with (
            closing(sqlite3.connect(tmp_path / "notes.db", timeout=0.01)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("UPDATE study_system_attributes SET value_json = '2'")
        return held + ", two"

    edit_note(storage, 1, edit)
    assert get_note(handle) == "one, two"
    storage.close()


def test_a_refresh_updates_our_note_and_keeps_what_people_wrote(trained_url):
    storage = open_storage(trained_url)
    handle = optuna.load_study(study_name="tiny", storage=storage.optuna)
    refresh(storage, find_study(storage, "tiny"))
    first = get_note(handle)
    save_note(handle, "written by a person\n\n" + first)
    storage.optuna.set_study_user_attr(handle._study_id, "state", "stale")
    refresh(storage, find_study(storage, "tiny"))
    refresh(storage, find_study(storage, "tiny"))
    assert get_note(handle) == "written by a person\n\n" + first
    versions = [v for k, v in storage.optuna.get_study_system_attrs(1).items() if k.startswith("dashboard:note_ver")]
    assert versions == [1], "a new version would refuse what a person is writing"
    assert f"Best: validation accuracy {100 * handle.best_value:.2f} % in trial {handle.best_trial.number}" in first
    assert 'optimizer = "adadelta"' in first
    attributes = handle.user_attrs
    assert (attributes["state"], attributes["finished"], attributes["best"]) == ("done", "6/6", handle.best_value)
    assert set(saved_plots(storage.optuna, 1)) == {
        "01-learning-curves",
        "02-validation-accuracy-against-epsilon",
        "03-validation-accuracy-against-learning_rate",
    }
    refresh(storage, find_study(storage, "fixed"))
    other = optuna.load_study(study_name="fixed", storage=storage.optuna)
    assert re.search(r"\| Adam \| 2 \| \d\d\.\d\d % \| 90\.00 % \|", get_note(other))
    storage.close()


def test_a_study_has_its_curves_and_best_configuration_as_artifacts(trained_url, tmp_path):
    storage = open_storage(trained_url)
    for _ in range(2):
        refresh(storage, find_study(storage, "tiny"))
    storage.close()
    with served(trained_url) as address:
        found = json.loads(fetch(f"{address}api/studies/1"))["artifacts"]
        texts = {a["filename"]: fetch(f"{address}artifacts/1/{a['artifact_id']}") for a in found}
    assert set(texts) == {"learning-curves.csv", "best.json"}
    assert len(found) == 2
    rows = texts["learning-curves.csv"].splitlines()
    assert rows[0].startswith("trial,state,optimizer,epoch,train_loss")
    assert len(rows) > 6
    assert json.loads(texts["best.json"])["study"] == "tiny"


def routes():
    app = create_app(optuna.storages.InMemoryStorage())
    return sorted({(route.method, re.sub(r"<[^>]*int>", "1", route.rule)) for route in app.routes})


def request(app, method, path, body=b"", **environment):
    """The status and headers, and the body, of the application's answer."""
    started = []
    base = {
        "REQUEST_METHOD": method, "PATH_INFO": re.sub("<.*", "x", path), "HTTP_HOST": "127.0.0.1:8080",
        "QUERY_STRING": "", "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json",
    }  # fmt: skip
    answer = app(base | environment, lambda status, headers, *_: started.append((status, dict(headers))))
    content = b"".join(answer)
    if hasattr(answer, "close"):  # WSGI servers do so
        answer.close()
    return started[0], content


def inner(environment, start):
    start("200 OK", [])
    return [b"through"]


def test_nobody_who_asks_the_dashboard_learns_where_the_database_is(caplog):
    def fail(*_):
        raise StorageError('storage x: connection to server at "db.internal" failed', passing=True)

    (status, headers), body = request(Guard(fail, "127.0.0.1", False, None), "GET", "/api/studies")
    assert (status[:3], headers["Retry-After"]) == ("503", "5")
    assert json.loads(body) == {"reason": "the database does not answer; the server's log says why"}
    assert "db.internal" in caplog.text


@pytest.mark.parametrize(("method", "path"), routes())
def test_a_read_only_dashboard_refuses_every_route_that_changes_anything(method, path):
    (status, _), _ = request(Guard(inner, "127.0.0.1", True, None), method, path)
    assert status.startswith("200" if method == "GET" else "403")


def test_reading_routes_change_nothing(trained_url):
    storage = open_storage(trained_url)

    def content():
        with storage.engine.connect() as connection:
            tables = ("studies", "trials", "study_user_attributes", "study_system_attributes", "trial_values")
            return [connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1").all() for table in tables]

    before = content()
    app = Guard(wsgi(storage.optuna), "127.0.0.1", True, None)
    read = [request(app, "GET", path)[0][0] for method, path in routes() if method == "GET"]
    assert sum(status.startswith("200") for status in read) >= 3
    assert content() == before
    storage.close()


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        ({}, "200"),
        ({"HTTP_HOST": "localhost:8080"}, "200"),
        ({"HTTP_HOST": "[::1]:8080"}, "200"),
        ({"HTTP_HOST": "evil.example:8080"}, "403"),
        ({"HTTP_ORIGIN": "http://127.0.0.1:8080"}, "200"),
        ({"HTTP_ORIGIN": "http://evil.example"}, "403"),
        ({"HTTP_ORIGIN": "null"}, "403"),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, "403"),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, "200"),
    ],
)
def test_requests_from_other_sites_or_to_other_host_names_are_refused(environment, status):
    assert request(Guard(inner, "127.0.0.1", False, None), "POST", "/api/studies", **environment)[0][0][:3] == status


@pytest.mark.parametrize(
    ("name", "status"), [("192.168.0.7:80", "200"), ("box:80", "200"), ("127.0.0.1", "200"), ("evil.example", "403")]
)
def test_without_a_password_unknown_host_names_are_refused_on_every_address(name, status):
    assert request(Guard(inner, "box", False, None), "GET", "/", HTTP_HOST=name)[0][0][:3] == status


def test_a_password_is_required_and_only_its_hash_is_kept(tmp_path):
    file = tmp_path / "password"
    file.write_text("open sesame\n")
    file.chmod(0o600)
    password = read_password(file)
    guard = Guard(inner, "0.0.0.0", False, password)

    def header(word):
        return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"me:{word}".encode()).decode()}

    (status, headers), _ = request(guard, "GET", "/")
    assert (status[:3], headers["WWW-Authenticate"]) == ("401", 'Basic realm="optbench"')
    found = [header("wrong"), header("open sesame"), header("open sesame"), {"HTTP_AUTHORIZATION": "Basic ?"}]
    assert [request(guard, "GET", "/", **one)[0][0][:3] for one in found] == ["401", "200", "200", "401"]
    assert b"sesame" not in repr(vars(password)).encode()
    file.chmod(0o644)
    with pytest.raises(DefinitionError, match="chmod 600"):
        read_password(file)


def test_a_host_that_others_can_reach_needs_a_password_or_no_auth(trained_url):
    command = [
        sys.executable,
        "-m",
        "optbench",
        "dashboard",
        "--storage",
        trained_url,
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "expected --password-file FILE or --no-auth" in refused.stderr


def test_pages_open_in_a_browser_without_errors_during_and_after_a_sweep(tmp_path, chromium):
    def problems(page):
        run = chromium(page, tmp_path, "--virtual-time-budget=6000")
        assert run.returncode == 0
        assert "<canvas" in run.stdout or "Mui" in run.stdout, run.stdout[-500:]
        return [line for line in run.stderr.splitlines() if ":CONSOLE" in line and "rror" in line]

    workers = Workers(tmp_path, f"sqlite:///{tmp_path}/x.db", 50_000)
    with workers:
        worker = workers.start()
        workers.wait_until(lambda: sum(t.state.is_finished() for t in workers.trials()) >= 3)
        with served(workers.url) as address:
            workers.wait_until(lambda: "optbench rewrites" in fetch(f"{address}api/studies/1", timeout=60))
            pages = [f"{address}dashboard/{page}" for page in ("", *(f"studies/1{end}" for end in PAGES))]
            assert [problem for page in pages[:2] for problem in problems(page)] == []
            assert worker.poll() is None
            workers.send(worker, signal.SIGINT)
            assert "stopped; the same command carries on" in workers.output(worker, end_within=60)
            assert [problem for page in pages for problem in problems(page)] == []


def test_a_port_in_use_is_refused(trained_url):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "optbench", "dashboard", "--storage", trained_url, "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "choose another --host or --port" in refused.stderr


def test_requests_through_the_server_are_guarded(trained_url):
    with served(trained_url, "--read-only") as address:
        post = urllib.request.Request(
            f"{address}api/studies", b"{}", {"Content-Type": "application/json"}, method="POST"
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(post, timeout=5)
        assert refused.value.code == 403
        refused.value.close()


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """The file of a database with a search and its confirmation, filled without training."""
    file = tmp_path_factory.mktemp("confirmed") / "x.db"
    storage = open_storage(f"sqlite:///{file}", create=True)
    run(storage, search(trials=12), "adadelta", peak)
    confirm(storage, "adadelta", 0.9, seeds=4)
    storage.close()
    return file


@pytest.fixture
def storage(confirmed, tmp_path):
    with opened_copy(confirmed, tmp_path) as opened:
        yield opened


def rename(app, study_id, content):
    (status, _), body = request(app, "POST", f"/api/studies/{study_id}/rename", json.dumps(content).encode())
    return status[:3], json.loads(body)


def test_renaming_in_the_dashboard_keeps_curves_metric_and_confirmation(storage):
    before = find_study(storage, "adadelta")
    epochs = curves(storage, before.study_id)
    app = Guard(Rename(wsgi(storage.optuna), storage), "127.0.0.1", False, None)
    status, answer = rename(app, before.study_id, {"study_name": "my adadelta"})
    assert status == "201"
    assert (answer["study_id"], answer["study_name"], answer["directions"]) == (
        before.study_id,
        "my adadelta",
        ["maximize"],
    )
    assert {"key": "trials", "value": "12"} in answer["user_attrs"]
    after = find_study(storage, "my adadelta")
    assert (after.metric, after.best, after.finished) == (before.metric, before.best, before.finished)
    assert curves(storage, after.study_id) == epochs
    assert sum(map(len, epochs.values())) == before.epochs > 0
    assert {study.name for study in studies(storage)} == {"my adadelta", "adadelta/confirm"}
    comparison = collect(storage, ["my adadelta"])
    (arm,) = comparison.arms
    assert (arm.confirmed[0].study, len(arm.confirmed[0].scores)) == ("adadelta/confirm", 4)
    assert "optbench: my adadelta" in report(comparison, rows(comparison), [])


def test_a_refused_rename_answers_with_its_reason(storage):
    app = Guard(Rename(wsgi(storage.optuna), storage), "127.0.0.1", False, None)
    first, second = (find_study(storage, name).study_id for name in ("adadelta", "adadelta/confirm"))
    status, answer = rename(app, second, {"study_name": "adadelta"})
    assert (status, "adadelta" in answer["reason"]) == ("400", True)
    assert rename(app, 99, {"study_name": "x"})[0] == "400"
    assert rename(app, first, {"name": "x"}) == ("400", {"reason": 'expected {"study_name": "a name"}'})
    assert rename(app, first, ["x"])[0] == "400"
    assert rename(Guard(app.inner, "127.0.0.1", True, None), first, {"study_name": "x"})[0] == "403"
    assert [study.name for study in studies(storage)] == ["adadelta", "adadelta/confirm"]


def test_a_study_that_cannot_be_refreshed_is_logged_once_and_delays_no_others(storage, monkeypatch, caplog):
    shown = []

    def refresh_all_but_one(_, study):
        if study.name == "adadelta":
            raise ValueError("broken")
        shown.append(study.name)

    module = sys.modules["optbench.service.serve"]
    monkeypatch.setattr(module, "refresh", refresh_all_but_one)
    refresher = Refresher(storage)
    with caplog.at_level(logging.WARNING, "optbench.dashboard"):
        for _ in range(3):
            refresher.round()
        assert shown == ["adadelta/confirm"]
        warning = "study 'adadelta' is not up to date in the dashboard: ValueError: broken"
        assert caplog.messages == [warning]
        storage.optuna.set_study_user_attr(find_study(storage, "adadelta").study_id, "trials", 99)
        refresher.round()
        assert caplog.messages == [warning, warning]
    assert shown == ["adadelta/confirm"]


def test_tags_and_a_note_that_are_added_later_reach_the_dashboards_note(storage):
    refresher = Refresher(storage)
    refresher.round()
    describe(storage, find_study(storage, "adadelta").study_id, About(tags=("pilot",), note="for Monday"))
    refresher.round()
    shown = get_note(optuna.load_study(study_name="adadelta", storage=storage.optuna))
    assert "Tags: pilot." in shown
    assert "> for Monday" in shown


def test_the_winner_of_finals_reaches_the_note_of_their_search(storage):
    run(storage, search(trials=24), "long", peak)
    refresher = Refresher(storage)
    refresher.round()
    race(storage, "long", peak)
    refresher.round()
    assert "It won the finals." in get_note(optuna.load_study(study_name="long", storage=storage.optuna))


def test_a_database_out_of_reach_is_logged_once(storage, monkeypatch, caplog):
    def unreachable(_):
        raise StorageError("no route to host")

    module = sys.modules["optbench.service.serve"]
    refresher = Refresher(storage)
    with monkeypatch.context() as patch:
        patch.setattr(module, "studies", unreachable)
        refresher.round()
        refresher.round()
    refresher.round()
    assert [message for message in caplog.messages if "no route" in message] == [
        "the studies cannot be read, so the dashboard shows their earlier state: no route to host"
    ]
    assert "optbench rewrites" in get_note(optuna.load_study(study_name="adadelta", storage=storage.optuna))


def test_saved_plots_have_numbers_and_titles_and_are_listed_in_order(storage):
    import plotly.graph_objects as go
    from optuna_dashboard import save_plotly_graph_object

    handle = optuna.load_study(study_name="adadelta", storage=storage.optuna)
    for name in ("slice-1", "learning-curves", "what-a-budget-is-worth-1", "my-own"):
        save_plotly_graph_object(handle, go.Figure(), graph_object_id=name)
    comparison = collect(storage, ["adadelta"])
    refresh(storage, find_study(storage, "adadelta"), [], comparison_plots(comparison, rows(comparison)))
    refresh(storage, find_study(storage, "adadelta"))
    sort_saved_plots()
    listed = json.loads(request(wsgi(storage.optuna), "GET", f"/api/studies/{handle._study_id}")[1])
    titles = {
        found["id"]: json.loads(found["graph_object"])["layout"].get("title", {}).get("text")
        for found in listed["plotly_graph_objects"]
    }
    assert list(titles.items()) == [
        ("01-learning-curves", "1. Learning curves"),
        ("02-validation-accuracy-against-epsilon", "2. Validation accuracy against epsilon"),
        ("03-validation-accuracy-against-learning_rate", "3. Validation accuracy against learning_rate"),
        ("comparison-1-from-default-to-tuned", "Comparison 1. From default to tuned"),
        ("comparison-2-how-the-searches-went", "Comparison 2. How the searches went"),
        ("my-own", None),
    ]


def test_a_refresh_writes_only_what_changed(storage):
    study = find_study(storage, "adadelta")
    refresh(storage, study)
    with statements(storage) as sent:
        refresh(storage, find_study(storage, "adadelta"))
    written = [
        statement for statement in sent if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN"))
    ]
    assert [statement for statement in written if "plot_data" in statement or "note" in statement] == []
    assert len(written) <= 4, "the two artifacts are registered again"


def test_the_dashboards_script_is_served_without_accept_encoding(storage):
    app = Guard(dashboard_application(storage), "127.0.0.1", True, None)
    (status, _), body = request(app, "GET", "/static/bundle.js")
    assert status.startswith("200")
    assert len(body) > 100_000


@pytest.mark.parametrize("problem", [PermissionError("no"), ArtifactNotFound("no"), UnicodeError("no")])
def test_an_artifact_that_cannot_be_read_is_no_outage_of_the_database(storage, monkeypatch, caplog, problem):
    refresh(storage, find_study(storage, "adadelta"))
    app = Guard(dashboard_application(storage), "127.0.0.1", True, None)
    study = find_study(storage, "adadelta").study_id
    artifact = json.loads(request(app, "GET", f"/api/studies/{study}")[1])["artifacts"][0]["artifact_id"]
    place = f"/artifacts/{study}/{artifact}"
    (status, headers), _ = request(app, "GET", place)
    assert (status[:3], headers["Content-Security-Policy"]) == ("200", "sandbox")

    def fail(*_):
        raise problem

    monkeypatch.setattr(Store, "open_reader", fail)
    (status, _), body = request(app, "GET", place)
    assert (status[:3], json.loads(body)) == ("500", {"reason": "the server failed; its log says why"})
    assert f"GET '{place}' failed: {type(problem).__name__}: no" in caplog.text
