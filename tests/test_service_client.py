"""The commands with `--server`: they work through a server, without credentials of its database."""

import http.server
import json
import re
import threading
from contextlib import closing

import pytest

from optbench.errors import DefinitionError, StorageError
from optbench.exits import ExitCode
from optbench.service.client import Server
from optbench.service.web.sessions import FAILURES
from optbench.service.web.tokens import Scope
from optbench.storage import find_study, open_storage
from optbench.storage.pool import PoolWorker
from optbench.storage.queue import find_place
from tests.commands import in_process
from tests.conftest import TINY, write_toml
from tests.filled import peak, run, search
from tests.service import answering, serving

COMMANDS = [
    ("show", "tiny"),
    ("show", "adadelta"),
    ("show", "adam", "--top", 3),
    ("queue",),
    ("studies", "--state", "waiting"),
    ("log",),
    ("workers",),
]


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A server with a filled search, which the commands use by the environment, with a token that may submit."""
    with serving(tmp_path) as made:
        run(made.service.storage, search(trials=12), "adadelta", peak)
        write_toml(tmp_path / "tiny.toml", TINY)
        monkeypatch.setenv("OPTBENCH_SERVER", f"http://127.0.0.1:{made.port}")
        monkeypatch.setenv("OPTBENCH_TOKEN", made.secrets[Scope.SUBMIT])
        monkeypatch.setenv("OPTBENCH_STORAGE", "sqlite:////nowhere/x.db")
        made.typed = lambda *words, code=0: in_process(*words, cwd=tmp_path, code=code)
        yield made


def test_a_database_that_is_typed_comes_before_a_server_of_the_environment(client, tmp_path):
    local = "--storage", f"sqlite:///{tmp_path}/local.db"
    with closing(open_storage(local[1], create=True)) as storage:
        run(storage, search(trials=12), "here", peak)
    assert [one["name"] for one in json.loads(client.typed("studies", "--json", *local))] == ["here"]
    server = "--server", f"http://127.0.0.1:{client.port}"
    for options in (*local, *server), (*server, *local):
        assert "--storage; leave one of them out" in client.typed("studies", *options, code=ExitCode.REFUSED)


def test_sweeps_are_submitted_and_steered_through_a_server(client):
    asked = "--priority", 2, "--seed", 3, "--tag", "night", "--note", "try this"
    said = client.typed("submit", "tiny.toml", "--study", "team/x y", *asked)
    assert said == f"study 'team/x y' is in the queue of http://127.0.0.1:{client.port}\n"
    study = find_study(client.service.storage, "team/x y")
    place = find_place(client.service.storage, study.study_id)
    assert (study.sweep.seed, place.priority, place.owner) == (3, 2, "sue")
    assert (study.about.owner, study.about.tags, study.about.note) == ("sue", ("night",), "try this")
    assert [one["name"] for one in json.loads(client.typed("studies", "--tag", "night", "--json"))] == ["team/x y"]
    assert "was already in the queue" in client.typed("submit", "tiny.toml", "--study", "team/x y", "--seed", 3)
    for options, total in ((("--trials", 9), 9), ((), 9), (("--trials", 7), 7)):
        client.typed("submit", "tiny.toml", "--study", "team/x y", "--seed", 3, *options)
        assert json.loads(client.typed("show", "team/x y", "--json"))["total"] == total
    carry_on = f"`optbench resume 'team/x y' --server http://127.0.0.1:{client.port}` carries it on"
    paused = "its running trials finish, and no others start"
    assert client.typed("pause", "team/x y") == f"study 'team/x y': {paused}; {carry_on}\n"
    (row,) = json.loads(client.typed("queue", "--json"))
    assert (row["study"], row["state"]) == ("team/x y", "paused")
    assert "paused" in client.typed("queue")
    assert json.loads(client.typed("stop", "team/x y", "--json")) == {"study": "team/x y", "wish": "stop"}
    back = "study 'team/x y' is back in the queue; its workers carry it on\n"
    assert client.typed("resume", "team/x y") == back
    assert client.typed("priority", "team/x y", 7) == "study 'team/x y' has priority 7\n"
    events = json.loads(client.typed("log", "team/x y", "--json"))
    assert [one["kind"] for one in events] == [*["submitted"] * 5, "paused", "stopped", "resumed", "priority"]
    assert "priority        team/x y: 7 by sue" in client.typed("log", "--lines", 1)


def ageless(said):
    """What a command said without how long ago the heartbeats were."""
    return re.sub(r' *\d+ s ago *|"heartbeat_age": [\d.]+', "AGE", said)


def test_everything_is_the_same_with_a_server_and_without(client, monkeypatch):
    storage = client.service.storage
    run(storage, search(trials=12), "adam", peak)
    client.typed("submit", "tiny.toml", "--needs", "gpu", "--max-workers", 2, "--label", "night")
    worker = PoolWorker(storage, label="night", gpu=True, cores=2)
    worker.heartbeat()
    commands = [
        *(("studies", "--sort", order, *json) for order in ("made", "best", "changed") for json in ((), ("--json",))),
        *((*words, *json) for words in COMMANDS for json in ((), ("--json",))),
        ("export", "adadelta", "--format", "keras"),
    ]
    through = []
    for words in commands:
        worker.heartbeat()
        through.append(client.typed(*words))
    submitted = client.typed("submit", "tiny.toml", "--json")
    monkeypatch.delenv("OPTBENCH_SERVER")
    monkeypatch.setenv("OPTBENCH_STORAGE", str(storage.url))
    monkeypatch.setattr("optbench.cli.queue.user_name", lambda: "sue")
    assert client.typed("submit", "tiny.toml", "--json") == submitted
    client.typed("submit", "tiny.toml", "--needs", "gpu", "--max-workers", 2, "--label", "night")
    for words, said in zip(commands, through, strict=True):
        worker.heartbeat()  # a slow machine must not take it for lost
        if "log" not in words:
            assert ageless(client.typed(*words)) == ageless(said)
    assert all(worker.name in through[commands.index(("workers", *json))] for json in ((), ("--json",)))
    assert client.typed("log").startswith(through[commands.index(("log",))])
    shown = json.loads(through[commands.index(("show", "tiny", "--json"))])
    assert (shown["state"], shown["queue"]["state"], shown["queue"]["label"]) == ("waiting", "waiting", "night")


def test_workers_of_the_pool_are_listed_and_drained_through_a_server(client, monkeypatch):
    monkeypatch.setenv("OPTBENCH_TOKEN", client.secrets[Scope.ADMIN])
    assert json.loads(client.typed("workers", "--json")) == []
    worker = PoolWorker(client.service.storage, label=None, gpu=False, cores=2)
    worker.heartbeat()
    assert worker.name in client.typed("workers")
    said = f"worker {worker.name!r} finishes its running trials and ends\n"
    assert client.typed("drain", worker.name) == said
    (row,) = json.loads(client.typed("workers", "--json"))
    assert (row["name"], row["state"], row["cores"]) == (worker.name, "draining", 2)
    assert "no worker 'nobody'" in client.typed("drain", "nobody", code=2)


@pytest.mark.parametrize(
    "words", [("--lanes", 3), ("--workers", 2), ("--trials", 9), ("--timeout", 5), ("--drain",), ("--allow-code",)]
)
def test_resume_refuses_what_a_server_cannot_do(words, client):
    client.typed("submit", "tiny.toml")
    client.typed("pause", "tiny")
    assert f"{words[0]} is for training here, but the workers of the queue" in client.typed(
        "resume", "tiny", *words, code=2
    )
    assert json.loads(client.typed("queue", "--json"))[0]["state"] == "paused"


def test_an_answer_of_another_version_is_explained_in_one_line():
    body = b'[{"name": "x"}]'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    for command in ("queue", "studies", "workers", "log"):
        with answering(answer) as (url, _):
            said = in_process(command, "--server", url, code=2)
        assert "sent an answer that this version cannot read" in said
        assert len(said.splitlines()) == 1


def test_studies_are_shown_and_exported_through_a_server(client):
    assert "adadelta" in client.typed("studies")
    shown = client.typed("show", "adadelta", "--top", 2)
    assert "study adadelta: 12/12 trials, done" in shown
    assert 'optimizer = "adadelta"' in shown
    assert "written to best.toml" in client.typed("export", "adadelta", "--format", "toml", "-o", "best.toml")
    assert "[[trial]]" in (client.folder / "best.toml").read_text()


def test_refusals_are_one_line_and_exit_with_2(client, monkeypatch):
    here = f"optbench: server http://127.0.0.1:{client.port}: "
    assert client.typed("show", "adadelt", code=2) == f"{here}no study 'adadelt'; did you mean 'adadelta'?\n"
    assert "is not in the queue" in client.typed("pause", "adadelta", code=2)
    client.typed("submit", "tiny.toml")
    assert "has another definition: seed is 0 there, 1 here" in client.typed("submit", "tiny.toml", "--seed", 1, code=2)
    assert "--wait needs the database, not a server" in client.typed("submit", "tiny.toml", "--wait", code=2)
    assert "leave it or --model" in client.typed("export", "adadelta", "--trials", "x.csv", code=2)
    write_toml(client.folder / "own.toml", TINY | {"model": {"build": "m.py:net"}})
    assert "this server takes none" in client.typed("submit", "own.toml", "--study", "own", code=2)
    monkeypatch.setenv("OPTBENCH_TOKEN", "wrong")
    assert "expected a token in OPTBENCH_TOKEN" in client.typed("queue", code=2)
    monkeypatch.setenv("OPTBENCH_TOKEN", client.secrets[Scope.READ])
    assert "this needs a token with the scope submit" in client.typed("submit", "tiny.toml", code=2)
    assert "does not answer" in client.typed("queue", "--server", "http://127.0.0.1:1", code=3)


def test_too_many_wrong_tokens_are_a_reason_to_try_later(client, monkeypatch):
    monkeypatch.setenv("OPTBENCH_TOKEN", "wrong")
    for _ in range(FAILURES):
        client.typed("queue", code=ExitCode.REFUSED)
    assert "too many wrong tokens" in client.typed("queue", code=ExitCode.UNREACHABLE)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://x",
        "file:///etc/passwd",
        "http://",
        "http://a b",
        "http://[::1",
        "http://a:b/",
        "http://a:99999",
    ],
)
def test_a_wrong_url_is_refused(url):
    with pytest.raises(DefinitionError, match="expected a URL"):
        Server(url)


@pytest.mark.parametrize(
    "url", ["http://ann:s3cret@h", "https://ann:s3/cret@h:99999", "ann:s3cret@h", "http://s3cret@h"]
)
def test_a_password_in_a_url_is_not_repeated(url):
    said = in_process("queue", "--server", url, code=2)
    assert "***@h" in said
    assert "expected a URL without a user's name" in said
    assert "cret" not in said


def test_a_token_follows_no_redirection_and_other_servers_are_refused(monkeypatch):
    monkeypatch.setenv("OPTBENCH_TOKEN", "secret")
    seen = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(302 if "away" in self.path else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"hi")

        def log_message(self, *_):
            """Print nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        other = Server(f"http://127.0.0.1:{server.server_port}/")
        with pytest.raises(Exception, match="it answers 302"):
            other.json("GET", "away")
        with pytest.raises(StorageError, match="is not an optbench server"):
            other.json("GET", "here")
        server.shutdown()
        thread.join()
    assert seen == ["/v1/away", "/v1/here"]


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_an_answer_that_is_no_http_is_explained_in_one_line(answer):
    with answering(answer) as (url, _):
        said = in_process("queue", "--server", url, code=ExitCode.UNREACHABLE)
    assert said.startswith(f"optbench: server {url} does not answer: ")
    assert len(said.splitlines()) == 1


def test_a_server_without_tls_is_given_up_after_the_time_to_connect(client, monkeypatch):
    monkeypatch.setattr("optbench.service.outgoing.CONNECTED", 0.3)
    said = client.typed("queue", "--server", f"https://127.0.0.1:{client.port}", code=ExitCode.UNREACHABLE)
    assert "`optbench serve` speaks plain http://; https:// needs a proxy in front of it" in said
    assert len(said.splitlines()) == 1
