"""The commands that carry on what the database holds, without a sweep file: resume and finals."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import (
    DEFAULT_STORAGE,
    AllowCode,
    AsJson,
    DataDir,
    Drain,
    ServerUrl,
    StorageUrl,
    StudyName,
    Timeout,
    app,
    opened,
)
from optbench.cli.output import console, print_json
from optbench.defaults import user_name
from optbench.errors import DefinitionError, StudyError
from optbench.scheduler.states import Wish
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.definition.sweep import Finals
    from optbench.launchers.requests import Request
    from optbench.storage import Storage, StudyRecord
    from optbench.storage.candidates import Candidate

Lanes = Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 1 per core]")]
Workers = Annotated[int, typer.Option(metavar="N", help="Processes that share the study and the cores.")]


@app.command()
def resume(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    trials: Annotated[int | None, typer.Option(metavar="N", help="The study's total number of trials.")] = None,
    lanes: Lanes = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    drain: Drain = False,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    server: ServerUrl = None,
    as_json: AsJson = False,
) -> None:
    """Carry a study on without its file: here, or in the queue. Example: optbench resume quickstart"""
    from optbench.cli import remote
    from optbench.definition.parse import check_trials
    from optbench.launchers.requests import Request
    from optbench.storage import find_study, sweep_of
    from optbench.storage.queue import find_place
    from optbench.worker.session import Options

    local = {
        "lanes": lanes, "workers": workers if workers != 1 else None, "timeout": timeout, "drain": drain or None,
        "data-dir": data_dir, "allow-code": allow_code or None,
    }  # fmt: skip
    if server is not None:
        _check_for_queue(study, {"trials": trials, **local})
        _say_back(*remote.steer(server, study, wish=Wish.RUN), as_json)
        return
    with opened(storage, read_only=True) as storage_:
        record = find_study(storage_, study)
        queued = find_place(storage_, record.study_id)
    if queued is not None:
        _check_for_queue(study, local)
        _back_to_queue(storage, record, trials, as_json)
        return
    sweep = sweep_of(record)
    if trials is not None and not sweep.searches:
        raise DefinitionError(f"--trials {trials}: {study!r} is a list of fixed trials; leave --trials out")
    total = record.total or sweep.trials if trials is None else trials
    if trials is not None:
        check_trials(replace(sweep, trials=trials), study, flags=["trials"])
    request = Request(
        sweep=replace(sweep, trials=total), study=study, storage=storage, workers=workers,
        options=Options(lanes=lanes, data_dir=data_dir, allow_code=allow_code),
    )  # fmt: skip
    _run(request, timeout, drain, as_json)


def _check_for_queue(study: str, given: Mapping[str, object]) -> None:
    """Raises DefinitionError for an option of training here: the workers of the queue carry the study on."""
    for option, value in given.items():
        if value is not None:
            raise DefinitionError(
                f"--{option} is for training here, but the workers of the queue carry {study!r} on; leave it out"
            )


def _say_back(record: "StudyRecord", place: "Candidate | None", as_json: bool) -> None:
    """Say that the workers of the queue carry the study on."""
    from optbench.cli import tables

    if as_json:
        print_json(tables.study_json(record, place))
    else:
        label = None if place is None else place.place.label
        starts = "" if label is None else f": `optbench worker --label {shlex.quote(label)}` starts one"
        whose = "its workers" if label is None else f"workers with the label {label!r}"
        said = f"study {record.name!r} is back in the queue; {whose} carry it on{starts}"
        console.print(said, markup=False, soft_wrap=True)


def _back_to_queue(url: str, record: "StudyRecord", trials: int | None, as_json: bool) -> None:
    """Let the workers of the queue carry the study on."""
    from optbench.exports.records import queued
    from optbench.storage import find_study
    from optbench.storage.steering import steer

    if trials is not None:
        raise DefinitionError(
            f"--trials {trials}: {record.name!r} is in the queue; `optbench submit` changes its total"
        )
    with opened(url) as storage:
        steer(storage, record.study_id, by=user_name(), wish=Wish.RUN)
        record, place = find_study(storage, record.name), queued(storage).get(record.name)
    _say_back(record, place, as_json)


@app.command()
def finals(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    candidates: Annotated[
        int | None, typer.Option(metavar="N", help="How many configurations enter. [default: as the sweep says]")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(metavar="F", help="Trainings, as a fraction of the search's trials. [default: as the sweep says]"),
    ] = None,
    lanes: Lanes = None,
    workers: Workers = 1,
    timeout: Timeout = None,
    drain: Drain = False,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Train a search's best configurations again on fresh seeds, to choose one. Example: optbench finals quickstart"""
    from optbench.definition.sweep import Finals
    from optbench.launchers.requests import Request
    from optbench.storage import find_study, sweep_of
    from optbench.worker.session import Options

    given = Finals(candidates, budget)
    _check(given)
    with opened(storage, read_only=True) as storage_:
        record = find_study(storage_, study)
        sweep = sweep_of(record)
        asked = _asked(storage_, record, sweep.finals or Finals(), given)
    total = record.total or sweep.trials
    request = Request(
        sweep=replace(sweep, trials=total, finals=asked), study=study, storage=storage, workers=workers,
        options=Options(lanes=lanes, data_dir=data_dir, allow_code=allow_code),
    )  # fmt: skip
    _run(request, timeout, drain, as_json)


def _asked(storage: "Storage", record: "StudyRecord", own: "Finals", given: "Finals") -> "Finals":
    """The finals of the study's `own` definition, with the numbers that were given by hand.

    Raises StudyError, before any data is loaded, if the study cannot have them.
    """
    from optbench.storage import studies, trials
    from optbench.worker.finals import current_finals, plan_finals

    _check_search(record)
    begun = current_finals(record, studies(storage))
    if begun is not None and given.sized:
        raise StudyError(
            f"{record.name!r} has finals already: {begun.name!r}; leave --candidates and --budget out to resume them, "
            "or delete them first"
        )
    asked = replace(own, candidates=given.candidates or own.candidates, budget=given.budget or own.budget)
    if begun is None:
        plan_finals(record, trials(storage, record.study_id), asked)
    return asked


def _check_search(record: "StudyRecord") -> None:
    """Raise StudyError for a search that lacks trials."""
    if record.searches and record.finished < (record.total or 0):
        raise StudyError(
            f"{record.name!r} has {record.finished} of its {record.total} trials; "
            f"`optbench resume {shlex.quote(record.name)}` finishes it first"
        )


def _check(asked: "Finals") -> None:
    if asked.candidates is not None and asked.candidates < 2:
        raise DefinitionError(f"--candidates {asked.candidates}; expected a whole number of 2 or more")
    if asked.budget is not None and not 0 < asked.budget <= 1:
        raise DefinitionError(f"--budget {asked.budget:g}; expected a fraction above 0, at most 1")


def _run(request: "Request", timeout: float | None, drain: bool, as_json: bool) -> None:
    from optbench.cli.running import print_studies, run_all
    from optbench.worker.bounds import check_counts, check_training

    check_training(flags=True, trainer=request.options.trainer, lanes=request.options.lanes, timeout=timeout)
    check_counts(flags=True, lanes=request.options.lanes, workers=request.workers)
    console.stderr = as_json
    ran = run_all([request], Stop(timeout, drain=drain))
    if as_json:
        print_studies(request.storage, ran)
