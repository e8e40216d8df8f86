"""Bad input to the commands of the queue, the service and clusters: one line, exit code 2, and nothing changes."""

import re

import pytest

from optbench.storage import open_storage, studies
from optbench.storage.event_log import recent_events
from optbench.storage.queue import Submission, places
from optbench.worker.submission import submit
from tests.commands import in_process
from tests.conftest import TINY, sweep_of, write_toml

NOWHERE = ("--server", "http://127.0.0.1:1")
TOKENS = ("--tokens", "tokens.json")
SERVER = ("--storage", "postgresql+psycopg://u:p@127.0.0.1:1/x")
COMMANDS = [
    (("submit",), "Missing argument 'SWEEP'"),
    (("submit", "tinny.toml"), "no sweep 'tinny.toml': there is no such file or definition"),
    (("submit", "broken.toml"), "broken.toml: not readable as TOML: Invalid value (at end of document)"),
    (("submit", "wrong.toml"), "wrong.toml: epochs = 0; expected 1 or more"),
    (("submit", "."), ". is not a regular file; expected a sweep definition, in TOML"),
    (("submit", "tiny.toml", "--study", ""), "cannot be a study's name; expected 1 to 300 printable characters"),
    (("submit", "tiny.toml", "--study", "a" * 600), "cannot be a study's name; expected 1 to 300 printable characters"),
    (("submit", "tiny.toml", "--study", "a\nb"), "cannot be a study's name; expected 1 to 300 printable characters"),
    (("submit", "tiny.toml", "--study", "x", "--seed", 1), "study 'x' has another definition: seed is 0 there, 1 here"),
    (
        ("submit", "tiny.toml", "--study", "x", "--epochs", 9),
        "study 'x' has another definition: epochs is 2 there, 9 here",
    ),
    (("submit", "tiny.toml", "--trials", 0), "--trials 0: expected 1 or more"),
    (("submit", "tiny.toml", "--epochs", -1), "--epochs -1: expected 1 or more"),
    (("submit", "tiny.toml", "--seed", "one"), "--seed one; expected a whole number"),
    (("submit", "tiny.toml", "--priority", 1001), "--priority 1001; expected a whole number from -1000 to 1000"),
    (("submit", "tiny.toml", "--priority", "high"), "--priority high; expected a whole number"),
    (("submit", "tiny.toml", "--max-workers", 0), "--max-workers 0; expected a whole number from 1 to 10000"),
    (("submit", "tiny.toml", "--needs", "tpu"), "--needs tpu; expected one of 'gpu'"),
    (("submit", "tiny.toml", "--label", ""), "--label ''; expected 1 to 100 printable characters"),
    (("submit", "tiny.toml", "--label", "l" * 101), "expected 1 to 100 printable characters"),
    (("submit", "tiny.toml", "--tag", "two words"), "expected up to 60 characters without spaces"),
    (("submit", "tiny.toml", "--tag", "a,b"), "--tag 'a,b'; expected up to 60 characters without spaces and commas"),
    (("submit", "tiny.toml", "--tag", "t" * 61), "expected up to 60 characters without spaces"),
    (("submit", "tiny.toml", "--note", "n" * 1001), "--note has 1,001 characters; expected up to 1,000"),
    (("submit", "tiny.toml", "--wait", *NOWHERE), "--wait needs the database, not a server; expected --storage"),
    (("submit", "tiny.toml", "--server", "ftp://x"), "--server ftp://x; expected a URL"),
    (("submit", "tiny.toml", "--server", "http://"), "--server http://; expected a URL"),
    (("submit", "tiny.toml", "--server", "http://[::1"), "--server http://[::1; expected a URL"),
    (("submit", "tiny.toml", "--server", "http://h:99999"), "--server http://h:99999; expected a URL"),
    (("submit", "tiny.toml", "--storage", "nonsense://x"), "is neither a file nor a URL of a known kind"),
    (("submit", "tiny.toml", "--storage", "tiny.toml"), "tiny.toml is not an SQLite database"),
    (("queue", "x"), "unexpected extra argument(s) (x)"),
    (("queue", "--storage", "elsewhere.db"), "no database at elsewhere.db"),
    (("workers", "--storage", "elsewhere.db"), "no database at elsewhere.db"),
    (("log", "y"), "no study 'y'"),
    (("log", "--lines", 0), "--lines 0; expected a whole number from 1 to 10000"),
    (("log", "--lines", "many"), "--lines many; expected a whole number"),
    (("log", "--follow", "--json"), "--follow prints lines, and --json one list"),
    (("pause",), "Missing argument 'STUDY'"),
    (("pause", "y"), "no study 'y'"),
    (("pause", "X"), "no study 'X'"),
    (("stop", "y"), "no study 'y'"),
    (("stop", "x", "y"), "unexpected extra argument(s) (y)"),
    (("resume", "y"), "no study 'y'"),
    (
        ("resume", "x", "--lanes", 3, *NOWHERE),
        "--lanes is for training here, but the workers of the queue carry 'x' on; leave it out",
    ),
    (("priority", "x"), "Missing argument 'N'"),
    (("priority", "x", "high"), "N high; expected a whole number"),
    (("priority", "x", 1001), "--priority 1001; expected a whole number from -1000 to 1000"),
    (("priority", "y", 1), "no study 'y'"),
    (("drain",), "Missing argument 'WORKER'"),
    (("drain", "nobody"), "no worker 'nobody' in the pool"),
    (
        ("studies", "--state", "sleeping"),
        "--state sleeping; expected one of running, done, interrupted, waiting, pausing, paused, stopping",
    ),
    (("studies", "--sort", "colour"), "--sort colour; expected one of 'made', 'name', 'best', 'changed'"),
    (("worker", "--cores", 0), "--cores 0; expected a whole number from 1 to 4096"),
    (("worker", "--exit-when-idle", -1), "--exit-when-idle -1; expected seconds, 0 or more"),
    (("worker", "--lifetime", -1), "--lifetime -1; expected seconds, 0 or more"),
    (("worker", "--grace", -1), "--grace -1; expected seconds, 0 or more"),
    (("worker", "--heartbeat-timeout", 0), "--heartbeat-timeout 0; expected a whole number from 2 to 86400"),
    (("worker", "--retries", -1), "--retries -1; expected a whole number from 0 to 1000"),
    (("worker", "--label", ""), "--label ''; expected 1 to 100 printable characters"),
    (("worker", "--label", " "), "--label ' '; expected 1 to 100 printable characters"),
    (("worker", "--on", "dask"), "--on dask; expected one of 'local', 'ray', 'slurm'"),
    (
        ("worker", "--on", "slurm"),
        "--on slurm: `optbench launch-script slurm | sbatch` starts workers of the pool there",
    ),
    (("worker", "--workers", 2), "--workers is for --on ray"),
    (("worker", "--storage", "nonsense://x"), "is neither a file nor a URL of a known kind"),
    (("sweep", "tiny.toml", "--on", "dask"), "--on dask; expected one of 'local', 'ray', 'slurm'"),
    (("sweep", "tiny.toml", "--on", "slurm"), "is an SQLite file, which processes on several machines would damage"),
    (("sweep", "tiny.toml", "--on", "ray"), "is an SQLite file, which processes on several machines would damage"),
    (
        ("sweep", "tiny.toml", "--worker-cpus", 0, "--on", "ray", *SERVER),
        "--worker-cpus 0; expected a whole number from 1 to 4096",
    ),
    (
        ("sweep", "tiny.toml", "--workers", 1001, "--on", "ray", *SERVER),
        "--workers 1001; expected a whole number from 0 to 1000",
    ),
    (("sweep", "tiny.toml", "--slurm", "--time=1", "--on", "ray", *SERVER), "--slurm is for --on slurm"),
    (
        ("sweep", "tiny.toml", "--slurm", "time", "--on", "slurm", *SERVER),
        "--slurm: 'time'; expected options with =, for example --partition=long",
    ),
    (("launch-script",), "Missing argument 'KIND'. Choose from: slurm, kubernetes, systemd"),
    (("launch-script", "docker"), "KIND docker; expected one of 'slurm', 'kubernetes', 'systemd'"),
    (("launch-script", "slurm", "--workers", 0), "--workers 0; expected a whole number from 1 to 1000"),
    (
        ("launch-script", "systemd", "--environment-file", "relative"),
        "--environment-file relative; expected a path that begins with / for systemd",
    ),
    (
        ("launch-script", "systemd", "--user", "nobody here"),
        "--user 'nobody here'; expected the name of a user: letters, digits, _ and -, or a number",
    ),
    (
        ("launch-script", "kubernetes", "--storage", "x.db"),
        "is an SQLite file, which processes on several machines would damage",
    ),
    (("notify",), "Missing argument 'FILE'"),
    (("notify", "missing.toml"), "missing.toml cannot be read: No such file or directory"),
    (("notify", "broken.toml"), "broken.toml is not valid TOML: Invalid value"),
    (("notify", "wrong.toml"), "wrong.toml: unknown key 'name'"),
    (("serve", "--port", 70000), "--port 70000; expected a number of at most 65535"),
    (("serve", "--port", "http"), "--port http; expected a whole number"),
    (("serve", "--workers", -1), "--workers -1; expected a whole number from 0 to 64"),
    (("serve", "--tokens", "missing.json"), "--tokens missing.json: cannot be read"),
    (("serve", "--tokens", "broken.toml"), "--tokens broken.toml: is not a file of tokens"),
    (("serve", "--sweeps", "missing"), "--sweeps missing is not a folder"),
    (
        ("serve", "--host", "no such host"),
        "--host no such host: anyone who reaches it could change studies; expected --tokens FILE or --no-auth",
    ),
    (("token", "add", "ada"), "Missing option '--tokens'"),
    (("notify", "open.toml"), "open.toml: other users can read it"),
    (("serve", "--tokens", "open.toml"), "--tokens open.toml: other users can read it"),
    (("serve", "--host", "no such host", "--no-auth", "--port", 0), "cannot listen on no such host:0"),
    (("token", "add", "", *TOKENS), "token '': expected a name of 1 to 100 letters, digits"),
    (("token", "add", "ada", "--scope", "root", *TOKENS), "--scope root: no such scope"),
    (("token", "remove", "nobody", *TOKENS), "--tokens tokens.json: cannot be read"),
    (("export", "x", "--to", "nowhere", "y"), "--to nowhere: no such program; known: mlflow, tensorboard"),
    (("export", "y", "--to", "tensorboard", "runs"), "no study 'y'"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with sweep files and a database with one study in the queue."""
    made = tmp_path_factory.mktemp("bad")
    write_toml(made / "tiny.toml", TINY)
    write_toml(made / "wrong.toml", TINY | {"epochs": 0})
    (made / "broken.toml").write_text("name = ")
    (made / "open.toml").write_text("")
    for name, mode in (("wrong.toml", 0o600), ("broken.toml", 0o600), ("open.toml", 0o644)):
        (made / name).chmod(mode)  # only the owner may read files of secrets
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


def named(value):
    """A test's name from the words of its command; what is said is not in it."""
    return " ".join(map(str, value))[:60].encode("unicode_escape") if isinstance(value, tuple) else ""


@pytest.mark.parametrize(("words", "line"), COMMANDS, ids=named)
def test_bad_input_gets_one_line_that_says_why_and_changes_nothing(words, line, folder):
    before = held(folder)
    said = in_process(*words, cwd=folder, code=2)
    assert re.fullmatch(r"optbench: [^\n]+\n", said)
    assert line in said
    assert held(folder) == before
