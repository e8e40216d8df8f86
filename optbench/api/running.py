"""Trains sweeps from Python."""

import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optbench import definition
from optbench.api.dataset import with_file
from optbench.api.study import Study, opened
from optbench.choices import TrainerName
from optbench.defaults import HEARTBEAT_TIMEOUT, RETRIES, storage_url
from optbench.definition.sweep import Sweep
from optbench.errors import DefinitionError, OptbenchError
from optbench.launchers.requests import Request, execute
from optbench.storage import find_study
from optbench.worker.bounds import check_counts, check_training
from optbench.worker.screens import Screen, Silent, suitable_screen
from optbench.worker.session import Options
from optbench.worker.stop import Stop

log = logging.getLogger(__name__)


def load(sweep: str | Path | Mapping[str, Any] | Sweep, **overrides: Any) -> Sweep:
    """The sweep of a TOML file, of a definition that ships with optbench, or of a dict with the keys of such a file.

    The `file` of `data` may be a Dataset, which is then saved in storage/data.

    `overrides` replace top-level keys, for example `trials=10`. Raises DefinitionError.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(sweep, Sweep):
        return definition.parse({**sweep.definition(), **_plain(given)}, "the sweep") if given else sweep
    if isinstance(sweep, Mapping):
        return definition.parse(_with_files(_plain({**sweep, **given})), "the sweep")
    if not isinstance(sweep, str | Path):
        raise DefinitionError(
            f"a sweep of type {type(sweep).__name__}; expected a path, the name of a sweep, or a dict"
        )
    return definition.load(str(sweep), _with_files(_plain(given)), flags=())


def _plain(value: Any) -> Any:
    """The value with Python's own numbers in place of NumPy's."""
    if isinstance(value, Mapping):
        return {key: _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    return value.item() if isinstance(value, np.generic) else value


def _with_files(sweep: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sweep, with a Dataset in its data replaced by the file that it is saved in."""
    return {**sweep, "data": with_file(sweep["data"])} if "data" in sweep else sweep


def run(
    sweep: str | Path | Mapping[str, Any] | Sweep,
    storage: str | None = None,
    *,
    name: str | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    lanes: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
    drain: bool = False,
    trainer: str = TrainerName.LANES,
    data_dir: str | Path | None = None,
    allow_code: bool = False,
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT,
    retries: int = RETRIES,
    progress: bool = True,
) -> Study:
    """The study of a sweep, trained to its total. It is made if there is none in the database, else continued.

    `sweep` is what `load` takes; `trials`, `epochs` and `seed` override its keys. `name` is the study's name, by
    default the sweep's. `lanes` is the number of trials that train side by side, `workers` the number of processes that
    share them, and `timeout` the seconds after which no trial starts. `allow_code` lets a model's function run as the
    database holds it. Progress is shown in a notebook, in a terminal, or as plain lines.

    Ctrl-C stops after the running epoch, stores what was trained, and raises KeyboardInterrupt, so that a script
    does not go on with half a search; the same call continues the study. A second one stops at once. With `drain` the
    first one lets running trials finish, and the second one stops after the running epoch.

    Raises an OptbenchError with a message of one line.
    """
    found = load(sweep, trials=trials, epochs=epochs, seed=seed, lanes=lanes)
    check_training(flags=False, trainer=trainer, lanes=lanes, timeout=timeout)
    check_counts(flags=False, workers=workers, heartbeat_timeout=heartbeat_timeout, retries=retries)
    if name is not None:
        definition.check_study_name(name, "name")
    options = Options(
        trainer=TrainerName(trainer),
        lanes=lanes,
        data_dir=None if data_dir is None else Path(data_dir),
        heartbeat_timeout=heartbeat_timeout,
        retries=retries,
        allow_code=allow_code,
    )
    request = Request(
        sweep=found, study=name or found.name, storage=storage_url(storage), options=options, workers=workers
    )
    with Stop(timeout, [signal.SIGINT], drain=drain) as stop:
        return run_request(request, stop, suitable_screen() if progress else Silent())


def run_request(request: Request, stop: Stop, screen: Screen) -> Study:
    """The study of a request after running it, as `run` describes it."""
    outcome = execute(request, stop, screen)
    for line in outcome.problems:
        print(line, file=sys.stderr)
    if outcome.trained:
        for name in filter(None, (request.study, request.relations.origin)):
            _refresh(request.storage, name)
    if not outcome.done:
        reason = "stopped" if stop.signal else "the timeout is over" if stop() else outcome.why_unfinished
        screen.line(f"{reason}; the same call carries on")
    if stop.signal is not None:
        raise KeyboardInterrupt
    return Study(request.study, request.storage)


def _refresh(url: str, name: str) -> None:
    """Brings the study's page in the dashboard up to date. If that fails, it only logs a warning."""
    from optbench.service import refresh

    try:
        with opened(url, read_only=False) as storage:
            refresh(storage, find_study(storage, name))
    except OptbenchError as problem:
        log.warning("the dashboard does not show this yet: %s", problem)
