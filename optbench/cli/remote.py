"""The commands that work through a server of `optbench serve`, without credentials of its database."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.cli.output import console, print_json, write_text
from optbench.errors import DefinitionError
from optbench.scheduler.states import Wish

if TYPE_CHECKING:
    from optbench.service.client import Server


def submit(url: str, sweep: str, overrides: Mapping[str, object], asked: Mapping[str, object], as_json: bool) -> None:
    """Send the definition, with keys overridden, to the server's queue."""
    from optbench.definition import find

    path, server = find(sweep), _server(url)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError) as problem:
        raise DefinitionError(f"{path}: not readable as TOML: {problem}") from problem
    given = {key: value for key, value in asked.items() if value is not None}
    made = server.json("POST", "sweeps", {"definition": {**table, **overrides}, **given})
    if as_json:
        print_json(_without_place(server.json("GET", f"sweeps/{made['study']}")))
        return
    where = "is in the queue" if made["queued"] else "was in the queue already"
    what = "has all of its trials already" if made["finished"] else where
    _say(f"study {made['study']!r} {what} of {server.url}")


def queue(url: str, as_json: bool) -> None:
    """List the studies that run or wait."""
    places = [one["queue"] for one in _server(url).json("GET", "sweeps") if one["queue"] is not None]
    places.sort(key=lambda one: (-one["priority"], one["submitted"]))
    if as_json:
        print_json(places)
        return
    keys = "study", "state", "priority", "finished", "total", "workers", "best", "label", "owner"
    _table(places, keys)
    for one in places:
        if one["problem"]:
            _say(f"{one['study']}: {one['problem']}")


def studies(url: str, tags: list[str], owner: str | None, state: str | None, order: str, as_json: bool) -> None:
    """List the studies that fit, in an order of `optbench studies --sort`."""
    found = [
        _without_place(one)
        for one in _server(url).json("GET", "sweeps")
        if set(tags) <= set(one["tags"]) and owner in (None, one["owner"]) and state in (None, one["state"])
    ]
    if order in ("name", "best", "changed"):
        found.sort(key=lambda one: (one[order] is not None, one[order]), reverse=order != "name")
    if as_json:
        print_json(found)
    else:
        _table([_counted(one) for one in found], ("study", "state", "finished", "total", "best", "epochs", "optimizer"))


def show(url: str, study: str, top: int, as_json: bool) -> None:
    """Show a study's best trials and its definition."""
    from optbench.definition.plain import toml

    found = _server(url).json("GET", f"sweeps/{study}", top=top)
    if as_json:
        print_json(_without_place(found))
        return
    states = ", ".join(f"{count} {state}" for state, count in found["trials"].items() if count)
    _say(f"{found['name']}: {found['state']}, {states or 'no trial yet'} of {found['total']}")
    rows = [{**one, **one["hyperparameters"], "trial": one["number"]} for one in found["top"]]
    names = list(dict.fromkeys(name for one in found["top"] for name in one["hyperparameters"]))
    _table(rows, ("trial", "state", "value", "epochs", *names))
    if found["definition"] is not None:
        _say(f"\n{toml(found['definition'])}")


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
        _say(f"{study}: written to {output}")


def log(url: str, study: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Show what happened to studies and workers; if `follow`, go on until Ctrl-C."""
    server, path, newest = _server(url), "events" if study is None else f"events/{study}", None
    while True:
        found = server.json("GET", path, count=lines, after=newest)
        if as_json:
            print_json(found)
            return
        for one in found:
            about = " ".join(filter(None, (one["study"], f"({one['worker']})" if one["worker"] else None)))
            text = f": {one['text']}" if one["text"] else ""
            _say(f"{one['at'].replace('T', ' ').rstrip('Z')} {one['kind']:14}  {about}{text}")
            newest = one["id"]
        if not follow:
            return
        newest = newest or 0
        time.sleep(1.0)


def wish(url: str, study: str, wanted: Wish, as_json: bool) -> None:
    """Store a wish."""
    _server(url).json("PATCH", f"sweeps/{study}", {"wish": wanted})
    done = {Wish.RUN: "is back in the queue", Wish.PAUSE: "pauses", Wish.STOP: "stops"}[wanted]
    _answer({"study": study, "wish": wanted}, f"study {study!r} {done}", as_json)


def priority(url: str, study: str, number: int, as_json: bool) -> None:
    """Change a priority."""
    _server(url).json("PATCH", f"sweeps/{study}", {"priority": number})
    _answer({"study": study, "priority": number}, f"study {study!r} has priority {number}", as_json)


def _server(url: str) -> "Server":
    from optbench.service.client import Server  # it loads what the commands without a server do not need

    return Server(url)


def _counted(study: dict[str, Any]) -> dict[str, Any]:
    finished = sum(study["trials"][state] for state in ("complete", "pruned", "diverged"))
    return {**study, "study": study["name"], "finished": finished}


def _without_place(study: dict[str, Any]) -> dict[str, Any]:
    """The study with the keys that the command has without a server."""
    return {key: value for key, value in study.items() if key != "queue"}


def _table(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
    from optbench.cli.tables.fitting import Column, Fitted

    cells = {key: [_cell(row.get(key)) for row in rows] for key in keys}
    ranks = {key: max(0, index - 4) for index, key in enumerate(keys)}
    console.print(Fitted([Column(key, cells[key], rank=ranks[key], text=index == 0) for index, key in enumerate(keys)]))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _answer(plain: dict[str, object], said: str, as_json: bool) -> None:
    if as_json:
        print_json(plain)
    else:
        _say(said)


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
