"""Confirms searches from Python, on as many seeds as were asked for or until a comparison is decided."""

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.api.running import run_request
from optbench.api.study import Study, names_of, one_database, opened
from optbench.defaults import EQUAL
from optbench.launchers.requests import Request
from optbench.scheduler.states import Role, StudyState
from optbench.storage import UntilDecided
from optbench.worker.bounds import check_counts, check_rounds
from optbench.worker.creation import Relations
from optbench.worker.screens import Silent, suitable_screen
from optbench.worker.session import Options
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.comparison.confirmation import Plan
    from optbench.comparison.rounds import ConfirmationRequest


def confirm(
    *studies: Study | str,
    storage: str | None = None,
    top: int = 1,
    seeds: int = 10,
    until_decided: bool = False,
    max_seeds: int | None = None,
    equal: float | None = None,
    epochs: int | None = None,
    lanes: int | None = None,
    workers: int = 1,
    data_dir: str | Path | None = None,
    allow_code: bool = False,
    progress: bool = True,
) -> list[Study]:
    """The confirmations of searches: the `top` best configurations of each, trained again on `seeds` fresh seeds.

    Each is trained on all training examples, for `epochs` (by default the search's), and scored once on the test set.
    All searches share the seeds. A confirmation that exists is extended by what it lacks. With `until_decided`, seeds
    are added in rounds, up to `max_seeds` (100), until a difference or equality within `equal` percentage points (0.1)
    is shown for every pair of searches. Keras' defaults and the paper's setting are trained beside them, on up to 10
    seeds, unless another study has them on the same data. `allow_code` lets a model's function run as the database
    holds it. Ctrl-C stops as in `run`.

    Raises StudyError if a study is not a search, or, with `until_decided`, if the searches do not compare.
    """
    from optbench.comparison import rounds

    check_counts(flags=False, top=top, epochs=epochs, lanes=lanes, workers=workers)
    names = names_of(studies)
    check_rounds(False, len(set(names)), until_decided, seeds, max_seeds, equal)
    url = one_database(studies, storage)
    asked = UntilDecided(equal=equal or EQUAL, max_seeds=max_seeds or rounds.MAX_SEEDS) if until_decided else None
    request = rounds.ConfirmationRequest(names, top, seeds, epochs, asked)
    options = Options(lanes=lanes, data_dir=None if data_dir is None else Path(data_dir), allow_code=allow_code)
    screen = suitable_screen() if progress else Silent()

    def train(found: "Sequence[Plan]") -> bool:
        with Stop(None, [signal.SIGINT]) as stop:
            ran = [run_request(request_of(one, request, url, options, workers), stop, screen) for one in found]
        return all(study.state is StudyState.DONE for study in ran)

    if asked is None:
        with opened(url) as database:
            found = rounds.plans(database, request)
        train(found)
    else:
        rounds.until_decided(lambda: opened(url, read_only=False), request, train, screen.line)
    with opened(url) as database:
        return [Study(one.name, url) for one in rounds.plans(database, request)]


def request_of(one: "Plan", request: "ConfirmationRequest", url: str, options: Options, workers: int) -> Request:
    """The request that trains a plan in the database at `url`."""
    return Request(
        sweep=replace(one.sweep, lanes=options.lanes),
        study=one.name,
        storage=url,
        options=options,
        workers=workers,
        relations=Relations(role=Role.CONFIRMATION, origin=one.search.name, until_decided=request.until_decided),
    )
