"""What the commands ask of a server of `optbench serve`, without credentials of its database: records, as from one."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from optbench.cli.output import console, write_text
from optbench.errors import DefinitionError, StorageError
from optbench.scheduler.states import Wish

if TYPE_CHECKING:
    from optbench.exports.records import Listed, Shown
    from optbench.service.client import Server
    from optbench.storage.candidates import Candidate
    from optbench.storage.event_log import EventRecord
    from optbench.storage.pool import PoolRecord

PAGE = 10_000  # trials in one answer
Made = TypeVar("Made")


class Submitted(NamedTuple):
    """What became of a submission: its study is new in the queue, or has all of its trials already; and where."""

    study: str
    queued: bool
    finished: bool
    server: str


def submit(url: str, sweep: str, overrides: Mapping[str, object], asked: Mapping[str, object]) -> Submitted:
    """Sends the definition, with keys overridden, to the server's queue."""
    from optbench.definition import find

    path, server = find(sweep), _server(url)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError) as problem:
        raise DefinitionError(f"{path}: not readable as TOML: {problem}") from problem
    given = {key: value for key, value in asked.items() if value is not None}
    made = server.json("POST", "sweeps", {"definition": {**table, **overrides}, **given})
    return _made(server, lambda: Submitted(made["study"], made["added"], made["finished"], server.url))


def studies(url: str) -> "list[Listed]":
    """Every study, oldest first."""
    from optbench.exports.received import study_of

    server = _server(url)
    found = server.json("GET", "sweeps")
    return _made(server, lambda: [study_of(one) for one in found])


def queue(url: str) -> "list[Candidate]":
    """The studies that run or wait: the highest priority first, then the oldest."""
    places = [place for _, place in studies(url) if place is not None]
    return sorted(places, key=lambda one: (-one.place.priority, one.place.submitted))


def show(url: str, study: str) -> "Shown":
    """The study with all of its trials, its workers and its place in the queue."""
    from optbench.exports.received import study_of, trial_of, worker_of
    from optbench.exports.records import Shown

    server = _server(url)
    plain = server.json("GET", f"sweeps/{study}")
    trials: list[Any] = []
    while page := server.json("GET", f"trials/{study}", count=PAGE, after=trials[-1]["number"] if trials else None):
        trials += page
        if len(page) < PAGE:
            break

    def make() -> "Shown":
        record, place = study_of(plain)
        return Shown(record, [trial_of(one) for one in trials], [worker_of(one) for one in plain["workers"]], place)

    return _made(server, make)


def export(url: str, study: str, form: str | None, trial: int | None, top: int | None, output: Path | None) -> None:
    """Write configurations in a format of another program."""
    from optbench.files import check_writable, write

    if output is not None and str(output) != "-":
        check_writable(output)
    text = _server(url).text("GET", f"export/{study}", format=form, trial=trial, top=top)
    if output is None or str(output) == "-":
        write_text(text)
    else:
        write(text.encode(), output)
        console.print(f"{study}: written to {output}", markup=False, soft_wrap=True)


def events(url: str, study: str | None, lines: int, after: int | None) -> "list[EventRecord]":
    """The newest events, or the next ones after that id."""
    from optbench.exports.received import event_of

    server = _server(url)
    found = server.json("GET", "events" if study is None else f"events/{study}", count=lines, after=after)
    return _made(server, lambda: [event_of(one) for one in found])


def workers(url: str) -> "list[PoolRecord]":
    """The workers of the pool, by name."""
    from optbench.exports.received import pool_worker_of

    server = _server(url)
    found = server.json("GET", "workers")
    return _made(server, lambda: [pool_worker_of(one) for one in found])


def drain(url: str, worker: str) -> None:
    """Lets a worker of the pool finish its running trials and end."""
    _server(url).json("PATCH", f"workers/{worker}", {"draining": True})


def steer(url: str, study: str, wish: Wish | None = None, priority: int | None = None) -> "Listed":
    """The study, after changing what people wish of it, or its priority."""
    from optbench.exports.received import study_of

    server, given = _server(url), {"wish": wish, "priority": priority}
    found = server.json("PATCH", f"sweeps/{study}", {key: value for key, value in given.items() if value is not None})
    return _made(server, lambda: study_of(found))


def _server(url: str) -> "Server":
    from optbench.service.client import Server  # it loads what the commands without a server do not need

    return Server(url)


def _made(server: "Server", make: Callable[[], Made]) -> Made:
    """What `make` makes of an answer. Raises StorageError if the answer has another form."""
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        why = "compare `optbench --version` on both machines"
        raise StorageError(f"server {server.url} sent an answer that this version cannot read; {why}") from problem
