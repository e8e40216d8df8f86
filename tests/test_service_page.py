"""What the page for people shows: owners, tags, notes, why a study waits, and what it shows during an outage."""

import re

import pytest

from optbench.storage import find_study
from optbench.storage.pool import PoolWorker
from tests.filled import search
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
    for part in (section(text, "Queue"), section(text, "Studies")):
        assert "owner" in part
        for shown in (
            '<span class="tag">team-a</span>',
            '<span class="tag">&lt;b&gt;</span>',
            "for Monday &lt;img src=x",
        ):
            assert shown in part, shown
    assert "label lab" in section(text, "Queue")
    assert "needs gpu" in section(text, "Queue")
    assert HOSTILE not in text


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
