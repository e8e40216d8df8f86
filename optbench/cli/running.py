"""Runs requests, and prints after each one a summary of its study and the next commands."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence

import typer

from optbench.cli import tables
from optbench.cli.options import opened, place, refresh
from optbench.cli.output import console, print_json
from optbench.errors import StorageError, StudyError
from optbench.exits import ExitCode, after_signal
from optbench.exports.records import Shown, queued
from optbench.exports.records import shown as read
from optbench.launchers.requests import Outcome, Request, execute
from optbench.scheduler.states import Wish
from optbench.storage import Storage, StudyRecord, best_first, find_study, shown, studies, trials
from optbench.worker.screens import Screen, Terminal
from optbench.worker.stop import Stop

Train = Callable[[Request, Stop, Screen], Outcome]


def run_all(requests: Sequence[Request], stop: Stop, summary: bool = True, train: Train = execute) -> list[str]:
    """The names of the studies that were started, after running them one after another until `stop` returns a request.

    Prints a `summary` of each and the next commands. Exits with 128 plus the number of a signal, or with 1 if its
    workers failed, or ended and left work undone.
    """
    ran: list[str] = []
    with stop:
        for request in requests:
            ran.append(request.study)
            origins = [one.relations.origin for one in requests if one.relations.origin]
            _run(request, stop, origins if summary else None, train)
            if stop():
                break
    return ran


def _run(request: Request, stop: Stop, origins: Sequence[str] | None, train: Train) -> None:
    """Runs one request, and prints a summary unless `origins` is None.

    After a signal, a database that does not answer is not an error.
    """
    try:
        outcome = train(request, stop, Terminal(console))
        for line in outcome.problems:
            print(line, file=sys.stderr)
        if not outcome.trained:
            console.print(_nothing_to_do(request, outcome.study), markup=False)
        with opened(request.storage) as storage:
            if origins is not None:
                _conclude(storage, request, stop, origins)
            if outcome.trained:
                for name in filter(None, (request.study, request.relations.origin)):
                    refresh(storage, name)
    except StorageError as problem:
        if stop.signal is None:
            raise
        console.print(f"stopped while the database did not answer: {problem}", markup=False, soft_wrap=True)
        raise typer.Exit(after_signal(stop.signal)) from problem
    _exit(outcome, stop)


def _nothing_to_do(request: Request, study: StudyRecord) -> str:
    asked = request.sweep.trials
    if study.finished > asked:
        return f"study {study.name!r} has {study.finished} trials already, more than the {asked} asked for"
    return f"study {study.name!r} has {study.finished} of {asked} trials already; nothing to do"


def _exit(outcome: Outcome, stop: Stop) -> None:
    if not outcome.done and not outcome.goes_on:
        reason = "stopped" if stop.signal else "the time limit was reached" if stop() else outcome.why_unfinished
        again = (
            "the same command" if outcome.wish is Wish.RUN else f"`optbench resume {shlex.quote(outcome.study.name)}`"
        )
        console.print(f"{reason}; {again} carries on", markup=False, soft_wrap=True)
    if stop.signal is not None:
        raise typer.Exit(after_signal(stop.signal))
    wished = stop() or outcome.wish is not Wish.RUN
    if not outcome.done and (outcome.problems or not wished):
        raise typer.Exit(ExitCode.DIFFERS)


def _conclude(storage: Storage, request: Request, stop: Stop, origins: Sequence[str]) -> None:
    """Prints a summary of the study, and the next commands."""
    record = find_study(storage, request.study)
    records = trials(storage, record.study_id)
    console.print(tables.counts(record, queued(storage).get(record.name)), markup=False)
    if request.sweep.searches:
        for best in best_first(record.finals, records)[:1]:
            console.print(tables.best(record, best), markup=False, soft_wrap=True)
    else:
        console.print(tables.fixed(record, records))
    console.print(f"stored in {shown(storage.url)}", markup=False, soft_wrap=True)
    for purpose, command in _next_commands(record, _comparable(storage, record, origins)):
        console.print(f"{purpose:>7}: optbench {command}{place(request.storage)}", markup=False, soft_wrap=True)


def _comparable(storage: Storage, record: StudyRecord, origins: Sequence[str]) -> Sequence[str]:
    """The confirmed searches, if they compare with one another; else only the one that this study confirms."""
    if len(origins) < 2 or record.origin is None:
        return origins
    from optbench.comparison.collect import named
    from optbench.comparison.comparable import differences

    known = [study for study in studies(storage) if study.sweep is not None]
    try:
        alike = not differences(named(known, origins, anyway=True))
    except StudyError:  # one of them has no curves, because another program copied it
        alike = False
    return origins if alike else [record.origin]


def _next_commands(record: StudyRecord, origins: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Likely next steps with the study, each with its command."""
    name = shlex.quote(record.name)
    yield "look", f"show {name}"
    if record.best is not None:
        yield "confirm", f"confirm {name}"
    if record.origin is not None:
        yield "compare", f"compare {' '.join(map(shlex.quote, origins or [record.origin]))}"
    yield "browse", "dashboard"
    if record.best is not None:
        yield "export", f"export {name}"


def print_study(found: Shown) -> None:
    """Prints the study in JSON, as `show --json` does."""
    print_json(tables.show_json(found.study, found.records, workers=found.workers, place=found.place))


def print_studies(url: str, names: Sequence[str]) -> None:
    """Prints a JSON list of the studies, each as `show --json` prints it."""
    with opened(url) as storage:
        found = [read(storage, name) for name in names]
        print_json([tables.show_json(one.study, one.records, place=one.place) for one in found])
