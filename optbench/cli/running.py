"""Runs a sweep in this process, and says at the end what its study holds."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from optbench.cli import tables
from optbench.cli.loading import tensorflow
from optbench.cli.options import opened, place, refresh
from optbench.cli.output import console, print_json
from optbench.cli.progress import Progress
from optbench.storage import Follower, Storage, best_trials, check, find_study, shown, trials
from optbench.sweep import Sweep
from optbench.training.contract import Trainer
from optbench.worker.patience import Patience
from optbench.worker.stop import Stop


@dataclass(frozen=True)
class Request:
    """What `optbench sweep` was asked for; `given` is the sweep as it was typed, `overrides` the keys beside it."""

    given: str
    overrides: Mapping[str, int]
    sweep: Sweep
    study: str
    storage: str
    data_dir: Path | None
    trainer: str
    heartbeat_timeout: int
    retries: int
    origin: str | None = None

    def words(self) -> list[str]:
        """The same request for another process; the storage goes by the environment, since it may hold a password."""
        options = {**self.overrides, "study": self.study, "data-dir": self.data_dir, "trainer": self.trainer}
        options |= {"heartbeat-timeout": self.heartbeat_timeout, "retries": self.retries}
        return [*(f"--{key}={value}" for key, value in options.items() if value is not None), "--", self.given]


def run_here(request: Request, stop: Stop) -> None:
    """Train in this process, until the study has its total or `stop` says otherwise."""
    check(request.storage, create=True)
    with console.status(f"loading TensorFlow and {request.sweep.data.name}") if console.is_terminal else nullcontext():
        with tensorflow(request.trainer):
            from optbench.launch import carry_on, prepare
            from optbench.training.tensorflow.build import build
        launch = prepare(request.sweep, request.study, request.storage, request.data_dir, request.origin)
    try:
        if launch.missing:
            with progress_of(launch.storage, request, launch.study.study_id, stop) as progress:

                def trainer(optimizer: str) -> Trainer:
                    return build(request.trainer, launch.sweep, optimizer, launch.split, launch.missing)

                carry_on(launch, trainer, stop, progress, request.heartbeat_timeout, request.retries)
                progress.look(now=True)
        else:
            nothing_to_do(request, launch.study.finished)
        conclude(launch.storage, request, stop)
        if launch.missing and not stop.owner:
            for name in filter(None, (request.study, request.origin)):
                refresh(launch.storage, name)
    finally:
        launch.storage.close()


def progress_of(storage: Storage, request: Request, study_id: int, stop: Stop) -> Progress:
    follower = Follower(storage, study_id, request.study)
    progress = Progress(console, follower, request.sweep.trials, stop, "compiling")
    storage.outage = Patience(stop, progress)
    return progress


def nothing_to_do(request: Request, finished: int) -> None:
    """Say that the study has its total already."""
    said = f"study {request.study!r} has {finished} of {request.sweep.trials} trials already; nothing to do"
    console.print(said, markup=False)


def conclude(storage: Storage, request: Request, stop: Stop) -> bool:
    """Print what the study holds now and what to type next, and exit as the signal wants it, if there was one.

    Returns whether the study has its total.
    """
    record = find_study(storage, request.study)
    records = trials(storage, record.study_id)
    console.print(tables.counts(record), markup=False)
    if request.sweep.searches:
        for best in best_trials(records)[:1]:
            console.print(tables.best(record, best), markup=False)
    else:
        console.print(tables.fixed(record, records))
    name = shlex.quote(record.name)
    console.print(f"stored in {shown(storage.url)}", markup=False, soft_wrap=True)
    export = [("export", f"export {name}")] if record.best is not None else []
    for what, command in [("look", f"show {name}"), ("browse", "dashboard"), *export]:
        console.print(f"{what:>7}: optbench {command}{place(request.storage)}", markup=False, soft_wrap=True)
    if record.finished < request.sweep.trials:
        why = "stopped" if stop.signal else "the --timeout is over" if stop() else "not every worker got to the end"
        console.print(f"{why}; the same command carries on")
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)
    return record.finished >= request.sweep.trials


def print_studies(url: str, names: Sequence[str]) -> None:
    """What the studies hold, as JSON on standard output: a list, each as `show --json` has it."""
    with opened(url) as storage:
        records = [find_study(storage, name) for name in names]
        print_json([tables.show_json(record, trials(storage, record.study_id)) for record in records])
