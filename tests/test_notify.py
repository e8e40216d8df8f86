"""Notifications: webhooks with signatures, retries, order and positions; Apprise; the file of receivers."""

import hashlib
import hmac
import json
import re
import signal
import subprocess
import threading
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from unittest import mock

import pytest

from optbench.errors import StorageError
from optbench.service import channels, notify
from optbench.service.channels import SIGNATURE, Receiver, Webhook, signature
from optbench.service.notify import EventSender, Outages, open_patiently
from optbench.service.receivers import read_receivers
from optbench.storage import open_storage
from optbench.storage.event_log import EventKind, note
from optbench.storage.pool import PoolWorker
from tests.commands import COMMAND, in_process
from tests.conftest import ROOT, statements
from tests.service import answering

SECRET = "0123456789abcdef"


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


@contextmanager
def listening(answers=()):
    """A URL and a list that receives each request's headers and body. `answers` are the codes of the first ones."""
    got, codes = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(codes.pop(0) if codes else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def happen(storage, kind, text, **about):
    storage.write(lambda session: note(session, kind, text, **about))


def written(path, content):
    """The file of receivers, which only its owner can read."""
    path.write_text(content)
    path.chmod(0o600)
    return path


def texts(got):
    return [json.loads(body)["text"] for _, body in got]


def receiver(url, name="ci", **changes):
    return Receiver(name=name, channel=Webhook(url=url, secret=SECRET), **changes)


def at(monkeypatch):
    """A list with the time in seconds, for both clocks of the sender."""
    clock = [0.0]
    monkeypatch.setattr(notify.time, "monotonic", lambda: clock[0])
    now = SimpleNamespace(now=lambda zone: datetime.fromtimestamp(1e9 + clock[0], zone))
    monkeypatch.setattr(notify, "datetime", now)
    return clock


@contextmanager
def out_of_reach(storage):
    """Meanwhile the database does not answer."""

    def gone(*_):
        raise StorageError("storage x: no connection", passing=True)

    with mock.patch.object(storage, "read", gone):
        yield


def test_a_webhook_gets_what_happens_from_now_on_in_order_and_signed(storage):
    happen(storage, EventKind.DONE, "before", study="old")
    with listening() as (url, got):
        sender = EventSender(storage, [receiver(url)])
        assert sender.step() == 0
        happen(storage, EventKind.DONE, "first", study="a/b")
        happen(storage, EventKind.TAKEN, "not asked for", study="a/b")
        happen(storage, EventKind.FAILED, "second", study="a/b", worker="w")
        assert sender.step() == 2
        assert EventSender(storage, [receiver(url)]).step() == 0
    assert texts(got) == ["first", "second"]
    headers, body = got[1]
    sent = json.loads(body)
    assert (sent["kind"], sent["study"], sent["worker"]) == ("failed", "a/b", "w")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", sent["at"])
    seconds, digest = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers[SIGNATURE]).groups()
    assert hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest() == digest
    assert signature(SECRET, b"{}", 5) != signature("another secret..", b"{}", 5)


def test_a_receiver_that_fails_is_tried_again_and_keeps_nobody_waiting(storage, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(notify.time, "monotonic", lambda: clock[0])
    with listening([500, 404]) as (url, got), listening() as (other, others):
        sender = EventSender(storage, [receiver(url), receiver(other, "other")])
        sender.step()
        for text in ("one", "two"):
            happen(storage, EventKind.DONE, text)
        assert sender.step() == 2
        assert texts(others) == ["one", "two"]
        assert texts(got) == ["one"]
        assert sender.step() == 0, "it rests for a second"
        clock[0] = 1.5
        assert sender.step() == 0
        clock[0] = 3.0
        assert sender.step() == 0, "then for two"
        clock[0] = 4.0
        assert sender.step() == 2
    assert texts(got) == ["one", "one", "one", "two"]


def test_what_was_not_delivered_is_delivered_by_the_next_process(storage):
    with listening([503]) as (url, got):
        EventSender(storage, [receiver(url)]).step()
        happen(storage, EventKind.WORKER_LOST, "its heartbeats stopped", worker="w")
        assert EventSender(storage, [receiver(url)]).step() == 0
        assert EventSender(storage, [receiver(url)]).step() == 1
    assert len(got) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_a_redirection_or_garbage_is_no_delivery_and_keeps_nobody_waiting(answer, storage):
    with answering(answer) as (url, got), listening() as (other, others):
        sender = EventSender(storage, [receiver(url), receiver(other, "other")])
        sender.step()
        happen(storage, EventKind.DONE, "news")
        assert sender.step() == 1
        assert sender.receivers[0].wait > 0
    assert texts(others) == ["news"]
    assert [request.split(b" ", 1)[0] for request in got] == [b"POST"], "nothing was sent elsewhere"


def test_the_loss_of_the_last_worker_is_told(storage):
    worker = PoolWorker(storage, label=None, gpu=False, cores=1)
    worker.heartbeat()
    with listening() as (url, got):
        sender = EventSender(storage, [receiver(url)])
        assert sender.step() == 0
        unchanged = sender.lost.watch.unchanged
        unchanged |= {name: (heartbeat, since - 60) for name, (heartbeat, since) in unchanged.items()}
        assert sender.step() == 1
    assert texts(got) == ["its heartbeats stopped"]


def test_nothing_is_written_while_nothing_happens(storage):
    with listening() as (url, got):
        sender = EventSender(storage, [receiver(url), receiver(url, "other")])
        sender.step()
        with statements(storage) as sent:
            sender.step()
        assert sent
        assert all(statement.startswith("SELECT") for statement in sent)
        happen(storage, EventKind.TAKEN, "not asked for")
        with statements(storage) as sent:
            assert sender.step() == 0
        assert [statement.split()[0] for statement in sent].count("UPDATE") == 2
    assert got == []


def test_the_beginning_and_the_end_of_an_outage_of_the_database_are_said_once(storage, monkeypatch):
    clock = at(monkeypatch)
    with listening() as (url, got):
        sender = EventSender(storage, [receiver(url)])
        sender.step()
        with out_of_reach(storage):
            assert [sender.step() for clock[0] in (10.0, 40.0, 50.0)] == [0, 1, 0]
        assert [sender.step() for clock[0] in (55.0, 56.0)] == [1, 0]
        with out_of_reach(storage):
            assert [sender.step() for clock[0] in (60.0, 80.0)] == [0, 0]
        assert sender.step() == 0, "a short one is not said"
        with out_of_reach(storage):
            assert [sender.step() for clock[0] in (90.0, 120.0)] == [0, 1]
    first, *others = (json.loads(body) for _, body in got)
    assert (first["kind"], first["text"]) == ("database outage", "the database does not answer")
    kinds = [(one["kind"], one["text"]) for one in others]
    assert kinds == [
        ("database recovered", "the database answers again"),
        ("database outage", "the database does not answer"),
    ]
    assert first["id"] < 0, "it is none of the log's"
    assert len({one["id"] for one in (first, *others)}) == 3


def test_an_outage_at_the_start_is_said_and_waited_for(storage, monkeypatch):
    clock, tries = at(monkeypatch), iter([StorageError("away", passing=True)] * 3 + [storage])

    def opened(url):
        clock[0] += 20.0
        if isinstance(found := next(tries), StorageError):
            raise found
        return found

    monkeypatch.setattr(notify, "open_storage", opened)
    monkeypatch.setattr(notify, "wait", lambda stop, seconds: None)
    with listening() as (url, got):
        outages = Outages(receivers := [receiver(url)])
        assert open_patiently("x", outages, lambda: None) is storage
        EventSender(storage, receivers, outages).step()
    assert texts(got) == ["the database does not answer", "the database answers again"]
    assert open_patiently("x", outages, lambda: "stop") is None
    monkeypatch.setattr(notify, "open_storage", mock.Mock(side_effect=StorageError("not a database")))
    with pytest.raises(StorageError, match="not a database"):
        open_patiently("x", outages, lambda: None)


def test_an_outage_that_a_receiver_did_not_take_is_tried_again_as_the_same_event(storage, monkeypatch):
    clock = at(monkeypatch)
    with listening([500, 500]) as (url, got), listening() as (other, others):
        sender = EventSender(storage, [receiver(url), receiver(other, "other")])
        sender.step()
        with out_of_reach(storage):
            assert [sender.step() for clock[0] in (31.0, 31.5, 32.5)] == [1, 0, 0]
        clock[0] = 35.0
        assert sender.step() == 3, "also once the database answers again"
        assert sender.step() == 0
    ids = [json.loads(body)["id"] for _, body in got]
    assert [json.loads(body)["id"] for _, body in others] == [ids[0], ids[3]]
    assert (len(ids), ids[0] == ids[1] == ids[2] != ids[3]) == (4, True)


def test_once_says_whose_events_were_not_taken_and_that_the_database_is_away(storage, tmp_path):
    with listening([500]) as (url, got), listening() as (other, others):
        table = '[[receiver]]\nname = "{}"\nwebhook = "{}"\nsecret = "{}"\n'
        file = written(tmp_path / "r.toml", table.format("ci", url, SECRET) + table.format("b", other, SECRET))
        once = "notify", file, "--once", "--storage", storage.url
        assert in_process(*once) == "0 events sent\n"
        happen(storage, EventKind.DONE, "news", study="x")
        assert in_process(*once, code=1) == "1 event sent; ci did not take all: the next run tries again\n"
        assert in_process(*once) == "1 event sent\n"
        assert texts(got) == ["news", "news"]
        assert texts(others) == ["news"]
        with mock.patch("optbench.service.notify.recent_events", side_effect=StorageError("it is away", passing=True)):
            assert in_process(*once, code=3) == "optbench: it is away\n"


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in a library of Apprise's
def test_apprise_sends_to_what_it_speaks(storage, tmp_path):
    pytest.importorskip("apprise", reason="apprise is not installed: pip install 'optbench[apprise]'")
    with listening() as (url, got):
        address = url.replace("http", "json", 1)
        file = written(tmp_path / "receivers.toml", f'[[receiver]]\nname = "chat"\napprise = "{address}"\n')
        in_process("notify", file, "--once", "--storage", storage.url)
        happen(storage, EventKind.DONE, "6 trials", study="tiny")
        assert in_process("notify", file, "--once", "--storage", storage.url) == "1 event sent\n"
    sent = json.loads(got[0][1])
    assert (sent["title"], sent["message"]) == ("optbench: done", "tiny: done (6 trials)")
    assert sent["type"] == "success"


def test_the_manuals_file_is_read(tmp_path):
    pytest.importorskip("apprise", reason="apprise is not installed: pip install 'optbench[apprise]'")
    page = (ROOT / "optbench" / "docs" / "queue.md").read_text()
    written(tmp_path / "r.toml", re.search(r"```text\n(\[\[receiver.*?)```", page, re.DOTALL)[1])
    ci, chat = read_receivers(tmp_path / "r.toml")
    assert (ci.name, list(ci.kinds), chat.name, list(chat.kinds)) == (
        "ci",
        [EventKind.DONE, EventKind.FAILED],
        "chat",
        list(channels.USUAL),
    )
    assert "long random" not in repr(ci)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = ", "is not valid TOML"),
        ("", "'receiver' is missing; expected one or more tables [[receiver]]"),
        ("receiver = []", "'receiver' is not right; expected one or more tables"),
        ('[[receiver]]\nname = "a"', "has both or neither of webhook and apprise"),
        ('[[receiver]]\nname = "a"\nwebhook = "http://x"\napprise = "json://x"', "has both or neither"),
        ('[[receiver]]\nname = "a"\nwebhook = "http://x"', "has no secret; expected 16 or more characters"),
        (
            f'[[receiver]]\nname = "a"\nwebhook = "file:///etc"\nsecret = "{SECRET}"',
            "expected a URL without spaces and user names: https://",
        ),
        (f'[[receiver]]\nname = "a"\nwebhook = "http://a b/c"\nsecret = "{SECRET}"', "expected a URL without spaces"),
        (f'[[receiver]]\nname = "a"\nwebhook = "https:///c"\nsecret = "{SECRET}"', "expected a URL without spaces"),
        (f'[[receiver]]\nname = "a"\nwebhook = "http://a:b/"\nsecret = "{SECRET}"', "expected a URL without spaces"),
        (
            '[[receiver]]\nname = "a"\nwebhook = "http://x"\nsecret = "short"',
            "receiver 1: 'secret' is not right",
        ),
        (
            '[[receiver]]\nname = "a"\nevents = ["over"]\napprise = "json://x"',
            "'events' is not right; expected a list",
        ),
        ('[[receiver]]\nname = "a"\nwebhok = "x"', "unknown key 'webhok'; did you mean 'webhook'?"),
        ('[[receiver]]\nname = "a"\napprise = "json://x"\n' * 2, "several receivers have the same name"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_one_line(content, message, tmp_path):
    written(tmp_path / "r.toml", content)
    said = in_process("notify", tmp_path / "r.toml", code=2, cwd=tmp_path)
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize("url", ["https://ann:s3cret@x/hook", "https://x/s3cret hook", "ftp://x/s3cret"])
def test_a_webhook_that_may_be_secret_is_not_repeated(url, tmp_path):
    written(tmp_path / "r.toml", f'[[receiver]]\nname = "a"\nwebhook = "{url}"\nsecret = "{SECRET}"')
    said = in_process("notify", tmp_path / "r.toml", code=2, cwd=tmp_path)
    assert "receiver 'a': 'webhook' is not right; expected a URL" in said
    assert "s3cret" not in said


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in a library of Apprise's
def test_a_url_that_apprise_does_not_know_is_refused(tmp_path):
    pytest.importorskip("apprise", reason="apprise is not installed: pip install 'optbench[apprise]'")
    written(tmp_path / "r.toml", '[[receiver]]\nname = "a"\napprise = "nonsense"')
    said = in_process("notify", "r.toml", code=2, cwd=tmp_path)
    assert "receiver 'a': Apprise does not know such a URL" in said
    assert len(said.splitlines()) == 1


def test_ctrl_c_ends_it_with_130(storage, tmp_path):
    written(tmp_path / "r.toml", f'[[receiver]]\nname = "a"\nwebhook = "http://127.0.0.1:1"\nsecret = "{SECRET}"')
    words = [*COMMAND, "notify", "r.toml", "--storage", storage.url.render_as_string()]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "telling a what happens (Ctrl-C stops it)\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_file_that_is_missing_is_named(tmp_path):
    assert "r.toml cannot be read: No such file" in in_process("notify", "r.toml", code=2, cwd=tmp_path)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    file = written(tmp_path / "r.toml", f'[[receiver]]\nname = "a"\nwebhook = "http://x"\nsecret = "{SECRET}"')
    file.chmod(0o640)
    said = in_process("notify", file, code=2)
    assert said == f"optbench: {file}: other users can read it; type `chmod 600 {file}`\n"
