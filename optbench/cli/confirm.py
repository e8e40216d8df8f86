"""The command that confirms searches on fresh seeds."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import (
    DEFAULT_STORAGE,
    AllowCode,
    AsJson,
    DataDir,
    Drain,
    StorageUrl,
    Studies,
    app,
    opened,
    place,
)
from optbench.cli.output import console
from optbench.cli.streams import print_error
from optbench.defaults import EQUAL
from optbench.errors import counted
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.comparison.confirmation import Plan
    from optbench.comparison.rounds import ConfirmationRequest
    from optbench.worker.session import Options


@app.command()
def confirm(
    studies: Studies,
    storage: StorageUrl = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option(metavar="N", help="How many of the best configurations to train.")] = 1,
    seeds: Annotated[
        int, typer.Option(metavar="N", help="How many fresh seeds to use, at most 200; all studies share them.")
    ] = 10,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Add seeds in rounds until every pair of searches is decided.")
    ] = False,
    max_seeds: Annotated[
        int | None, typer.Option(metavar="N", help="With --until-decided, the most seeds. [default: 100]")
    ] = None,
    equal: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="With --until-decided, what counts as equal. [default: 0.1]"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs. [default: the search's]")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 1 per core]")] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the study and the cores.")] = 1,
    drain: Drain = False,
    data_dir: DataDir = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Train the best configurations again, on fresh seeds, and test them. Example: optbench confirm adadelta adam"""
    from optbench.api.confirming import request_of
    from optbench.cli.running import print_studies, run_all
    from optbench.comparison.rounds import MAX_SEEDS, ConfirmationRequest
    from optbench.storage import UntilDecided
    from optbench.worker.bounds import check_counts, check_rounds
    from optbench.worker.session import Options

    check_counts(flags=True, top=top, epochs=epochs, lanes=lanes, workers=workers)
    check_rounds(True, len(set(studies)), until_decided, seeds, max_seeds, equal)
    console.stderr = as_json
    asked = UntilDecided(equal=equal or EQUAL, max_seeds=max_seeds or MAX_SEEDS) if until_decided else None
    request = ConfirmationRequest(studies, top, seeds, epochs, asked)
    options = Options(lanes=lanes, data_dir=data_dir, allow_code=allow_code)
    if asked is None:
        requests = [request_of(one, request, storage, options, workers) for one in _announced(storage, request)]
        ran = run_all(requests, Stop(drain=drain))
    else:
        ran = _rounds(storage, request, options, workers, drain)
    if as_json:
        print_studies(storage, ran)


def _announced(url: str, request: "ConfirmationRequest") -> "list[Plan]":
    """The plan for each search, after printing what it trains."""
    from optbench.comparison.confirmation import notes
    from optbench.comparison.rounds import plans

    with opened(url) as storage:
        found = plans(storage, request)
    for one in found:
        if one.search.unfinished:
            print_error(one.search.unfinished)
        for note in notes(one, request.top, request.seeds):
            print_error(note)
        held = f"; {one.held} of these {one.wanted} trials are in it already" if one.held else ""
        what = f"the best {one.configurations} on {counted(request.seeds, 'seed')}"
        if one.known_seeds:
            what += f", and the known settings on {min(request.seeds, one.known_seeds)}"
        text = f"{one.search.name}: {what}, as {one.name}{held}"
        console.print(text, markup=False, soft_wrap=True)
    return found


def _rounds(url: str, request: "ConfirmationRequest", options: "Options", workers: int, drain: bool) -> list[str]:
    """The names of the confirmations, after training rounds of seeds and printing the verdicts."""
    from optbench.api.confirming import request_of
    from optbench.cli.running import run_all
    from optbench.comparison.rounds import plans, until_decided

    def train(found: "Sequence[Plan]") -> bool:
        run_all([request_of(one, request, url, options, workers) for one in found], Stop(drain=drain), summary=False)
        return True  # what stops it, raises

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    for pair in until_decided(lambda: opened(url), request, train, say):
        say(replace(pair, place=place(url)).sentence)
    say(f"compare: optbench compare {' '.join(map(shlex.quote, dict.fromkeys(request.names)))}{place(url)}")
    with opened(url) as storage:
        return [one.name for one in plans(storage, request)]
