"""Bad input to the commands of the queue, the service and clusters: one line, exit code 2, and nothing changes."""

import pytest

from optbench.storage import open_storage, studies
from optbench.storage.event_log import recent_events
from optbench.storage.queue import Submission, places
from optbench.worker.submission import submit
from tests.commands import in_process
from tests.conftest import TINY, sweep_of, write_toml

NOWHERE = ("--server", "http://127.0.0.1:1")
SERVER = ("--storage", "postgresql+psycopg://u:p@127.0.0.1:1/x")
COMMANDS = [
    ("submit",),
    ("submit", "tinny.toml"),
    ("submit", "broken.toml"),
    ("submit", "wrong.toml"),
    ("submit", "."),
    ("submit", "tiny.toml", "--study", ""),
    ("submit", "tiny.toml", "--study", "a" * 600),
    ("submit", "tiny.toml", "--study", "a\nb"),
    ("submit", "tiny.toml", "--study", "x", "--seed", 1),
    ("submit", "tiny.toml", "--study", "x", "--epochs", 9),
    ("submit", "tiny.toml", "--trials", 0),
    ("submit", "tiny.toml", "--epochs", -1),
    ("submit", "tiny.toml", "--seed", "one"),
    ("submit", "tiny.toml", "--priority", 1001),
    ("submit", "tiny.toml", "--priority", "high"),
    ("submit", "tiny.toml", "--max-workers", 0),
    ("submit", "tiny.toml", "--needs", "tpu"),
    ("submit", "tiny.toml", "--label", ""),
    ("submit", "tiny.toml", "--label", "l" * 101),
    ("submit", "tiny.toml", "--tag", "two words"),
    ("submit", "tiny.toml", "--tag", "a,b"),
    ("submit", "tiny.toml", "--tag", "t" * 61),
    ("submit", "tiny.toml", "--note", "n" * 1001),
    ("submit", "tiny.toml", "--wait", *NOWHERE),
    ("submit", "tiny.toml", "--server", "ftp://x"),
    ("submit", "tiny.toml", "--server", "http://"),
    ("submit", "tiny.toml", "--server", "http://[::1"),
    ("submit", "tiny.toml", "--server", "http://h:99999"),
    ("submit", "tiny.toml", "--storage", "nonsense://x"),
    ("submit", "tiny.toml", "--storage", "tiny.toml"),
    ("queue", "x"),
    ("queue", "--storage", "elsewhere.db"),
    ("workers", "--storage", "elsewhere.db"),
    ("log", "y"),
    ("log", "--lines", 0),
    ("log", "--lines", "many"),
    ("log", "--follow", "--json"),
    ("pause",),
    ("pause", "y"),
    ("pause", "X"),
    ("stop", "y"),
    ("stop", "x", "y"),
    ("resume", "y"),
    ("resume", "x", "--lanes", 3, *NOWHERE),
    ("priority", "x"),
    ("priority", "x", "high"),
    ("priority", "x", 1001),
    ("priority", "y", 1),
    ("drain",),
    ("drain", "nobody"),
    ("studies", "--state", "sleeping"),
    ("studies", "--sort", "colour"),
    ("worker", "--cores", 0),
    ("worker", "--exit-when-idle", -1),
    ("worker", "--lifetime", -1),
    ("worker", "--grace", -1),
    ("worker", "--heartbeat-timeout", 0),
    ("worker", "--retries", -1),
    ("worker", "--label", ""),
    ("worker", "--on", "dask"),
    ("worker", "--on", "slurm"),
    ("worker", "--workers", 2),
    ("worker", "--storage", "nonsense://x"),
    ("sweep", "tiny.toml", "--on", "dask"),
    ("sweep", "tiny.toml", "--on", "slurm"),
    ("sweep", "tiny.toml", "--on", "ray"),
    ("sweep", "tiny.toml", "--worker-cpus", 0, "--on", "ray", *SERVER),
    ("sweep", "tiny.toml", "--workers", 1001, "--on", "ray", *SERVER),
    ("sweep", "tiny.toml", "--slurm", "--time=1", "--on", "ray", *SERVER),
    ("sweep", "tiny.toml", "--slurm", "time", "--on", "slurm", *SERVER),
    ("launch-script",),
    ("launch-script", "docker"),
    ("launch-script", "slurm", "--workers", 0),
    ("launch-script", "systemd", "--environment-file", "relative"),
    ("launch-script", "systemd", "--user", "nobody here"),
    ("launch-script", "kubernetes", "--storage", "x.db"),
    ("notify",),
    ("notify", "missing.toml"),
    ("notify", "broken.toml"),
    ("notify", "wrong.toml"),
    ("serve", "--port", 70000),
    ("serve", "--port", "http"),
    ("serve", "--workers", -1),
    ("serve", "--tokens", "missing.json"),
    ("serve", "--tokens", "broken.toml"),
    ("serve", "--sweeps", "missing"),
    ("serve", "--host", "no such host"),
    ("token", "add", "ada"),
    ("token", "add", "", "--scope", "read"),
    ("token", "add", "ada", "--scope", "root"),
    ("token", "remove", "nobody"),
    ("export", "x", "--to", "nowhere", "y"),
    ("export", "y", "--to", "tensorboard", "runs"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with sweep files and a database with one study in the queue."""
    made = tmp_path_factory.mktemp("bad")
    write_toml(made / "tiny.toml", TINY)
    write_toml(made / "wrong.toml", TINY | {"epochs": 0})
    (made / "broken.toml").write_text("name = ")
    (made / "storage").mkdir()
    storage = open_storage(f"sqlite:///{made}/storage/optbench.db", create=True)
    submit(storage, sweep_of(), "x", Submission(owner="ada"))
    storage.close()
    return made


def held(folder):
    """What the database and the folder hold."""
    storage = open_storage(f"sqlite:///{folder}/storage/optbench.db", read_only=True)
    found = studies(storage), places(storage), recent_events(storage)
    storage.close()
    return found, sorted(path for path in folder.rglob("*") if not path.name.endswith(("-wal", "-shm")))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(map(str, words))[:60].encode("unicode_escape"))
def test_bad_input_gets_one_line_and_changes_nothing(words, folder):
    before = held(folder)
    said = in_process(*words, cwd=folder, code=2)
    assert "Traceback" not in said
    assert said.strip()
    assert held(folder) == before
