"""Runs a sweep: in this process, or in several that share the study. The database is their only meeting point."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import typer

from optbench.cli import tables
from optbench.cli.loading import tensorflow
from optbench.cli.options import DEFAULT_STORAGE, console
from optbench.cli.progress import Progress
from optbench.cli.stop import OWNER, Stop
from optbench.errors import StorageError, StudyError
from optbench.job import Trainer
from optbench.storage import Follower, Storage, best_trials, check, find_study, open_storage, shown, trials
from optbench.sweep import Sweep


@dataclass(frozen=True)
class Order:
    """What `optbench sweep` was asked for; `given` is the sweep as it was typed, `overrides` the keys beside it."""

    given: str
    overrides: Mapping[str, int]
    sweep: Sweep
    study: str
    storage: str
    data_dir: Path | None
    trainer: str
    grace: int
    retries: int

    def words(self) -> list[str]:
        """The same order for another process; the storage goes by the environment, since it may hold a password."""
        options = {**self.overrides, "study": self.study, "data-dir": self.data_dir, "trainer": self.trainer}
        options |= {"grace": self.grace, "retries": self.retries}
        return [*(f"--{key}={value}" for key, value in options.items() if value is not None), "--", self.given]


def run_here(order: Order, stop: Stop) -> None:
    """Train in this process, until the study has its total or `stop` says otherwise."""
    check(order.storage, create=True)
    with console.status(f"loading TensorFlow and {order.sweep.data}") if console.is_terminal else nullcontext():
        with tensorflow(order.trainer):
            from optbench.launch import carry_on, prepare
            from optbench.training.build import build
        launch = prepare(order.sweep, order.study, order.storage, order.data_dir)
    try:
        if launch.missing:
            with _progress(launch.storage, order, launch.study.study_id, stop) as progress:

                def trainer(optimizer: str) -> Trainer:
                    return build(order.trainer, launch.sweep, optimizer, launch.split, launch.missing)

                for lost in carry_on(launch, trainer, stop, progress.waiting, order.grace, order.retries):
                    progress.lost(lost)
                    progress.look()
                progress.look(now=True)
        else:
            _nothing_to_do(order)
        _end(launch.storage, order, stop)
    finally:
        launch.storage.close()


def run_workers(order: Order, stop: Stop, count: int) -> None:
    """Start so many processes that run this order, show what they do, and pass signals on to them."""
    check(order.storage, create=True)
    workers = [_start(order, stop, share) for share in _shares(count)]
    storage = None
    try:
        with console.status(f"starting {count} workers") if console.is_terminal else nullcontext():
            storage = _opened(order, workers, stop)
        if storage is not None:
            study = find_study(storage, order.study)
            with _progress(storage, order, study.study_id, stop) as progress:
                _watch(workers, progress, stop)
    finally:
        told = _finish(workers)
    for line in told:
        print(line, file=sys.stderr)
    if storage is None:
        raise typer.Exit(128 + stop.signal if stop.signal else 2)
    try:
        _end(storage, order, stop)
    finally:
        storage.close()


def _start(order: Order, stop: Stop, share: set[int]) -> "subprocess.Popen[str]":
    """A worker on its share of the cores; in a session of its own, so that Ctrl-C reaches it through this process."""
    left = [] if stop.deadline is None else [f"--timeout={max(stop.deadline - time.monotonic(), 0.001)}"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "optbench", "sweep", *left, *order.words()],
        env=os.environ | {"OPTBENCH_STORAGE": order.storage, OWNER: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if share:
        os.sched_setaffinity(worker.pid, share)
    return worker


def _shares(count: int) -> list[set[int]]:
    """The cores of each worker: apart where there are enough of them; empty where that cannot be set."""
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    if count > len(cores):
        return [{cores[index % len(cores)]} for index in range(count)]
    return [set(cores[index::count]) for index in range(count)]


def _opened(order: Order, workers: "list[subprocess.Popen[str]]", stop: Stop) -> Storage | None:
    """The database once a worker has made the study in it; None if all of them ended before."""
    while any(worker.poll() is None for worker in workers):
        _pass_on(workers, stop)
        try:
            storage = open_storage(order.storage)
            find_study(storage, order.study)
        except (StorageError, StudyError):
            time.sleep(0.5)
        else:
            return storage
    return open_storage(order.storage) if all(worker.returncode == 0 for worker in workers) else None


def _watch(workers: "list[subprocess.Popen[str]]", progress: Progress, stop: Stop) -> None:
    while any(worker.poll() is None for worker in workers):
        _pass_on(workers, stop)
        progress.look()
        time.sleep(0.2)
    progress.look(now=True)


def _pass_on(workers: "list[subprocess.Popen[str]]", stop: Stop) -> None:
    for number in stop.news():
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)


def _finish(workers: "list[subprocess.Popen[str]]") -> list[str]:
    """End what still runs; returns what the workers had to say that is no repetition."""
    told = []
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate()
        if worker.returncode < 0:
            died = signal.Signals(-worker.returncode).name
            told.append(f"optbench: worker {worker.pid} was ended by {died}; the others carried on")
        elif worker.returncode not in (0, 130, 143) and said:
            told.append(said.strip())
    return list(dict.fromkeys(told))


def _progress(storage: Storage, order: Order, study_id: int, stop: Stop) -> Progress:
    follower = Follower(storage, study_id, order.study)
    progress = Progress(console, follower, order.sweep.trials, stop, "compiling")
    storage.outage = progress.outage
    return progress


def _nothing_to_do(order: Order) -> None:
    console.print(f"study {order.study!r} has its total of {order.sweep.trials} already; nothing to do", markup=False)


def _end(storage: Storage, order: Order, stop: Stop) -> None:
    """Print what the study holds now and what to type next, and exit as the signal wants it, if there was one."""
    record = find_study(storage, order.study)
    records = trials(storage, record)
    console.print(tables.counts(record), markup=False)
    if order.sweep.searches:
        for best in best_trials(records)[:1]:
            console.print(tables.best(record, best), markup=False)
    else:
        console.print(tables.fixed(record, records))
    place = "" if order.storage == DEFAULT_STORAGE else f" --storage {shlex.quote(shown(storage.url))}"
    name = shlex.quote(record.name)
    console.print(f"stored in {shown(storage.url)}", markup=False, soft_wrap=True)
    export = [("export", f"export {name}")] if record.searches else []
    for what, command in [("look", f"show {name}"), ("browse", "dashboard"), *export]:
        console.print(f"{what:>7}: optbench {command}{place}", markup=False, soft_wrap=True)
    if record.finished < order.sweep.trials:
        why = "stopped" if stop.signal else "the --timeout is over" if stop() else "not every worker got to the end"
        console.print(f"{why}; the same command carries on")
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)
