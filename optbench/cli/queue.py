"""The commands of the queue: submit, queue, pause, stop, priority. None loads TensorFlow."""

import shlex
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    Label,
    Note,
    ServerUrl,
    StorageUrl,
    StudyName,
    Tags,
    app,
    opened,
    place,
)
from optbench.cli.output import console, print_answer, print_json, print_line
from optbench.cli.train import SweepName
from optbench.defaults import user_name
from optbench.errors import DefinitionError, StorageError, counted
from optbench.exits import after_signal
from optbench.scheduler.states import Need, Wish
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optbench.definition.sweep import Sweep
    from optbench.storage import Storage
    from optbench.storage.about import About
    from optbench.storage.queue import Submission
    from optbench.worker.submission import Submitted


@app.command()
def submit(
    name: SweepName,
    storage: StorageUrl = DEFAULT_STORAGE,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The study's name. [default: the sweep's]")] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial that is not pruned.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The seed of everything random.")] = None,
    priority: Annotated[
        int | None, typer.Option(metavar="N", help="Workers take a study with a higher number first. [default: 0]")
    ] = None,
    max_workers: Annotated[int | None, typer.Option(metavar="N", help="At most this many workers.")] = None,
    needs: Annotated[Need | None, typer.Option(help="What its workers must have.")] = None,
    label: Label = None,
    tag: Tags = None,
    note: Note = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show its progress until it is finished.")] = False,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Put a sweep into the queue, for the workers that wait there. Example: optbench submit quickstart"""
    from optbench.definition import load
    from optbench.storage.about import About
    from optbench.storage.queue import Submission
    from optbench.worker.bounds import check_counts

    check_counts(flags=True, priority=priority, max_workers=max_workers)
    overrides = {key: value for key, value in {"epochs": epochs, "seed": seed}.items() if value is not None}
    if server is not None:
        if wait:
            raise DefinitionError("--wait needs the database, not a server; expected --storage with it")
        asked = {
            "study": study, "priority": priority, "max_workers": max_workers, "needs": needs, "label": label,
            "tags": tag, "note": note, "trials": trials,
        }  # fmt: skip
        _send(server, name, overrides, asked, as_json)
        return
    sweep = load(name, overrides if trials is None else {**overrides, "trials": trials})
    about = About(owner=user_name(), tags=tuple(tag or ()), note=note)
    submission = Submission(
        owner=user_name(), priority=priority, max_workers=max_workers, label=label, needs=needs, trials=trials
    )
    _put(storage, sweep, sweep.name if study is None else study, submission, about, wait, as_json)


def _send(
    server: str, sweep: str, overrides: "Mapping[str, object]", asked: "Mapping[str, object]", as_json: bool
) -> None:
    """Put the study into the queue of a server, and say what became of it."""
    from optbench.cli import remote
    from optbench.cli.running import print_study

    made = remote.submit(server, sweep, overrides, asked)
    if as_json:
        print_study(remote.show(server, made.study))
    else:
        print_line(_became(made.study, made.queued, made.finished) + f" of {made.server}" * (not made.finished))


def _put(
    url: str, sweep: "Sweep", name: str, submission: "Submission", about: "About", wait: bool, as_json: bool
) -> None:
    """Put the study into the queue, wait for it if asked to, and say what became of it."""
    from optbench.cli.running import print_study
    from optbench.definition import check_study_name
    from optbench.exports.records import shown
    from optbench.storage import open_storage
    from optbench.storage.about import check_about
    from optbench.worker.submission import submit as put

    check_study_name(name, "--study")
    check_about(about)
    storage = open_storage(url, create=sweep.start is None)
    try:
        found = put(storage, sweep, name, submission, about)
        if not as_json:
            print_line(_said(found, place(url)))
        if wait and not found.finished:
            _wait(storage, name, as_json)
        if as_json:
            print_study(shown(storage, name))
    finally:
        storage.close()


def _said(found: "Submitted", where: str) -> str:
    """What became of a submission, and what to type next for the database `where`."""
    name, held = found.study.name, found.place
    became = _became(name, found.queued, found.finished)
    if held is None or found.finished:
        return f"{became}: `optbench show {shlex.quote(name)}{where}`"
    if held.wish is not Wish.RUN:
        state = "paused" if held.wish is Wish.PAUSE else "stopped"
        return f"study {name!r} is in the queue, {state}; `optbench resume {shlex.quote(name)}{where}` carries on"
    labelled = "" if held.label is None else f" --label {shlex.quote(held.label)}"
    machine = " on a machine with a GPU" if held.needs is Need.GPU else ""
    return f"{became}; `optbench worker{labelled}{where}` starts a worker{machine}"


def _became(name: str, queued: bool, finished: bool) -> str:
    state = "is in the queue" if queued else "was already in the queue"
    return f"study {name!r} {'has all of its trials already' if finished else state}"


def _wait(storage: "Storage", name: str, quiet: bool) -> None:
    """Show the study's progress until it is finished with its finals. Exits with 128 plus the number of a signal.

    Raises StudyError if it can never run, and StorageError. After a signal, the database need not answer.
    """
    from optbench.launchers.follow import follow
    from optbench.worker.screens import Silent, Terminal

    with Stop() as stop:
        screen = Silent() if quiet else Terminal(console)
        try:
            if follow(storage, name, stop, screen, lambda: stop() is not None):
                return
        except StorageError:
            if stop.signal is None:
                raise
    print(f"study {name!r} stays in the queue", file=sys.stderr)
    raise typer.Exit(after_signal(stop.signal or signal.SIGINT))


@app.command()
def queue(storage: StorageUrl = DEFAULT_STORAGE, server: ServerUrl = None, as_json: AsJson = False) -> None:
    """List the studies that run or wait, in the order of the queue. Example: optbench queue --json"""
    from optbench.cli import remote, tables
    from optbench.storage.candidates import read_queue

    if server is not None:
        found = remote.queue(server)
    else:
        with opened(storage, read_only=True) as storage_:
            found = storage_.read(read_queue)
    if as_json:
        print_json([tables.queue_json(one) for one in found])
        return
    console.print(tables.queue(found))
    for one in found:
        if one.place.problem is not None:
            print_line(f"{one.place.study}: {one.place.problem}")
        elif one.declined is not None:
            by = counted(one.declined.workers, "worker")
            print_line(f"{one.place.study}: declined by {by}; last reason: {one.declined.reason}")


@app.command()
def pause(
    study: StudyName, storage: StorageUrl = DEFAULT_STORAGE, server: ServerUrl = None, as_json: AsJson = False
) -> None:
    """Let a study's running trials finish, and start no others. Example: optbench pause quickstart"""
    _wish(study, storage, server, Wish.PAUSE, as_json, "its running trials finish, and no others start")


@app.command()
def stop(
    study: StudyName, storage: StorageUrl = DEFAULT_STORAGE, server: ServerUrl = None, as_json: AsJson = False
) -> None:
    """End a study's running trials as interrupted; `resume` trains them again. Example: optbench stop quickstart"""
    _wish(study, storage, server, Wish.STOP, as_json, "its running trials end after their epoch, as interrupted")


@app.command()
def priority(
    study: StudyName,
    number: Annotated[int, typer.Argument(metavar="N", help="Workers take a study with a higher number first.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Change a study's priority in the queue. Example: optbench priority quickstart 10"""
    from optbench.cli import remote
    from optbench.storage import find_study
    from optbench.storage.steering import steer
    from optbench.worker.bounds import check_counts

    check_counts(flags=True, priority=number)
    if server is not None:
        remote.steer(server, study, priority=number)
    else:
        with opened(storage) as storage_:
            steer(storage_, find_study(storage_, study).study_id, by=user_name(), priority=number)
    print_answer({"study": study, "priority": number}, f"study {study!r} has priority {number}", as_json)


def _wish(study: str, storage: str, server: str | None, wish: Wish, as_json: bool, what: str) -> None:
    """Store a wish, and say what becomes of the study."""
    from optbench.cli import remote
    from optbench.storage import find_study
    from optbench.storage.steering import steer

    if server is not None:
        remote.steer(server, study, wish=wish)
    else:
        with opened(storage) as storage_:
            steer(storage_, find_study(storage_, study).study_id, by=user_name(), wish=wish)
    where = place(storage) if server is None else f" --server {shlex.quote(server)}"
    again = f"`optbench resume {shlex.quote(study)}{where}` carries it on"
    print_answer({"study": study, "wish": wish}, f"study {study!r}: {what}; {again}", as_json)
