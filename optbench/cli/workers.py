"""Runs a sweep in several processes that share its study. The database is their only meeting point."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import IO

import typer

from optbench.cli.options import refresh
from optbench.cli.output import console
from optbench.cli.progress import Progress
from optbench.cli.running import Request, conclude, nothing_to_do, progress_of
from optbench.errors import StorageError, StudyError
from optbench.storage import Storage, check, find_study, open_storage
from optbench.worker.stop import OWNER, Stop


def run_workers(request: Request, stop: Stop, count: int) -> None:
    """Start so many processes that run this request, show what they do, and pass signals on to them."""
    check(request.storage, create=True)
    told = [tempfile.TemporaryFile() for _ in range(count)]  # noqa: SIM115  closed by _finish; a pipe would fill up
    workers = [_start(request, stop, share, said) for share, said in zip(_shares(count), told, strict=True)]
    storage = None
    try:
        with console.status(f"starting {count} workers") if console.is_terminal else nullcontext():
            storage = _opened(request, workers, stop)
        if storage is not None:
            study = find_study(storage, request.study)
            if study.finished >= request.sweep.trials:
                nothing_to_do(request, study.finished)
            with progress_of(storage, request, study.study_id, stop) as progress:
                _watch(workers, progress, stop)
    finally:
        lines = _finish(workers, told)
    for line in lines:
        print(line, file=sys.stderr)
    if storage is None:
        raise typer.Exit(128 + stop.signal if stop.signal else 2)
    failed = any(worker.returncode not in (0, 130, 143) for worker in workers)
    try:
        done = conclude(storage, request, stop)
        refresh(storage, request.study)
    finally:
        storage.close()
    if failed and not done:
        raise typer.Exit(1)


def _start(request: Request, stop: Stop, share: set[int], said: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A worker on its share of the cores; in a session of its own, so that Ctrl-C reaches it through this process."""
    left = [] if stop.deadline is None else [f"--timeout={max(stop.deadline - time.monotonic(), 0.001)}"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "optbench", "sweep", *left, *request.words()],
        env=os.environ | {"OPTBENCH_STORAGE": request.storage, OWNER: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
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


def _opened(request: Request, workers: "list[subprocess.Popen[bytes]]", stop: Stop) -> Storage | None:
    """The database once a worker has made the study in it; None if all of them ended before."""
    while any(worker.poll() is None for worker in workers):
        _pass_on(workers, stop)
        storage = None
        try:
            storage = open_storage(request.storage)
            find_study(storage, request.study)
        except (StorageError, StudyError):
            if storage is not None:
                storage.close()
            time.sleep(0.5)
        else:
            return storage
    return open_storage(request.storage) if all(worker.returncode == 0 for worker in workers) else None


def _watch(workers: "list[subprocess.Popen[bytes]]", progress: Progress, stop: Stop) -> None:
    while any(worker.poll() is None for worker in workers):
        _pass_on(workers, stop)
        progress.look()
        time.sleep(0.2)
    progress.look(now=True)


def _pass_on(workers: "list[subprocess.Popen[bytes]]", stop: Stop) -> None:
    for number in stop.new_signals():
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)


def _finish(workers: "list[subprocess.Popen[bytes]]", told: Sequence[IO[bytes]]) -> list[str]:
    """End what still runs; returns what the workers had to say that is no repetition."""
    lines = []
    for worker, said in zip(workers, told, strict=True):
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        worker.wait()
        with said:
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
        if worker.returncode < 0:
            died = signal.Signals(-worker.returncode).name
            lines.append(f"optbench: worker {worker.pid} was ended by {died}; the others carried on")
        elif worker.returncode not in (0, 130, 143) and text:
            lines.append(text)
    return list(dict.fromkeys(lines))
