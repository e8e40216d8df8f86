"""Trains a sweep with workers on other machines: puts it into the queue, starts workers for it, and follows it."""

import hashlib
import os
import re
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from optbench.choices import Engine, ScriptKind
from optbench.defaults import user_name
from optbench.errors import StudyError
from optbench.launchers import Status, WorkerProcess
from optbench.launchers.engines import check_shared
from optbench.launchers.follow import follow
from optbench.launchers.local import PREFIX
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.requests import Outcome, Request
from optbench.launchers.scripts import Script
from optbench.scheduler.states import Wish
from optbench.storage import Storage, StudyRecord, find_study, open_storage
from optbench.storage.event_log import LEFT, EventKind, newest_event, recent_events
from optbench.storage.queue import Submission, find_place, places
from optbench.worker.bounds import LONGEST_LABEL
from optbench.worker.screens import Screen
from optbench.worker.stop import Stop, StopRequest
from optbench.worker.submission import finished, submit

IDLE = 10.0  # seconds without a trial after which a worker of one study ends
LOOK = 1.0  # seconds between two looks at the workers
PROBLEMS = (*LEFT, EventKind.FAILED)


class Cluster(Protocol):
    """An engine that starts workers on other machines."""

    @property
    def count(self) -> int:
        """How many workers it starts."""

    @property
    def stays(self) -> bool:
        """Whether the workers go on without this process."""

    def check(self) -> None:
        """Raises EngineError unless the engine answers and takes workers like these. Starts and writes nothing."""

    def workers(self, options: PoolOptions) -> list[WorkerProcess]:
        """The workers, not started yet; `check` comes before."""

    def started(self, workers: list[WorkerProcess]) -> str:
        """A line about the workers that were started."""

    def left(self, workers: list[WorkerProcess]) -> str:
        """A line about workers that go on alone: how to cancel them."""

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Driver:
    """What `optbench sweep --on` does for one request, with workers of a cluster."""

    request: Request
    cluster: Cluster
    lifetime: float | None
    stop: Stop
    screen: Screen

    def execute(self) -> Outcome:
        """The study afterwards. Raises an OptbenchError."""
        request = self.request
        check_shared(request.storage, "workers on other machines")
        self.cluster.check()  # before anything is written, or a study would wait in the queue for ever
        storage = open_storage(request.storage, create=request.sweep.start is None)
        try:
            before = newest_event(storage)
            study = self._submitted(storage) if self.cluster.count else _waiting(storage, request.study)
            if (done := finished(study)) or self.stop():
                return Outcome(study=study, trained=False, done=done)
            done, problems = self._train(storage)
            if not done:
                problems += _declined(storage, request.study, before)
            return self._outcome(storage, done, list(dict.fromkeys(problems)))
        finally:
            storage.close()

    def _submitted(self, storage: Storage) -> StudyRecord:
        """The study, in the queue for workers of its own. Raises StudyError if it waits there for other workers."""
        request, label = self.request, label_of(self.request.study)
        for place in places(storage):
            if place.study == request.study and place.label != label:
                others = "that have no label" if place.label is None else f"with the label {place.label!r}"
                raise StudyError(
                    f"study {place.study!r} is in the queue for workers {others}; start one of these, or give it "
                    f"to this command's: `optbench submit` with --label {shlex.quote(label)}"
                )
        owner = request.about.owner or user_name()
        submission = Submission(owner=owner, label=label, trials=request.sweep.trials)
        return submit(storage, request.sweep, request.study, submission, request.about, request.relations).study

    def _train(self, storage: Storage) -> tuple[bool, list[str]]:
        """Whether the study is finished, and the problems of its workers."""
        given = self.request.options
        workers = self.cluster.workers(
            PoolOptions(
                label=label_of(self.request.study),
                exit_when_idle=IDLE,
                lifetime=self.lifetime,
                grace=PoolOptions.grace if self.cluster.stays else 0.0,  # Ctrl-C here ends them after their epoch
                heartbeat_timeout=given.heartbeat_timeout,
                retries=given.retries,
                data_dir=None if given.data_dir is None else given.data_dir.absolute(),
                allow_code=given.allow_code,
            )
        )
        for worker in workers:
            worker.start()
        self.screen.line(self.cluster.started(workers))
        watch = Watch(workers, self.stop, self.cluster.stays)
        try:
            done = follow(storage, self.request.study, self.stop, self.screen, watch.over)
            if not self.cluster.stays and not done:
                watch.wait()
            elif workers and not done and self.stop():
                self.screen.line(self.cluster.left(workers))
            return done, [] if done or self.stop() else watch.problems()
        finally:
            if not self.cluster.stays:
                watch.end()

    def _outcome(self, storage: Storage, done: bool, problems: list[str]) -> Outcome:
        study = find_study(storage, self.request.study)
        place = find_place(storage, study.study_id)
        wish = Wish.RUN if place is None else place.wish
        goes_on = self.cluster.stays and not done and self.stop.signal is not None
        return Outcome(study=study, trained=True, done=done, problems=tuple(problems), wish=wish, goes_on=goes_on)


def run_pool(cluster: Cluster, options: PoolOptions, stop: Stop, say: Callable[[str], None]) -> None:
    """Starts workers of the pool, and returns once all have ended. Passes stop requests on."""
    workers = cluster.workers(options)
    for worker in workers:
        worker.start()
    say(cluster.started(workers))
    watch = Watch(workers, stop, cluster.stays)
    try:
        watch.wait()
        for line in watch.problems():
            say(line.removeprefix(PREFIX))
    finally:
        watch.end()


class Watch:
    """Looks after workers that were started, and passes stop requests on to them unless they stay."""

    def __init__(self, workers: list[WorkerProcess], stop: Stop, stays: bool) -> None:
        self.workers, self.stop, self.stays = workers, stop, stays
        self.passed_on: StopRequest | None = None
        self.due = 0.0

    def over(self) -> bool:
        """Whether nobody is left to wait for: all workers have ended, or they go on without this process."""
        request = self.stop()
        if request is not None and self.stays:
            return True
        if self.stop.signal is not None and request is not self.passed_on:
            self.passed_on = request
            self._send(signal.SIGINT if request is StopRequest.DRAIN else signal.SIGTERM)
        if time.monotonic() < self.due:
            return False
        self.due = time.monotonic() + LOOK
        states = [worker.status for worker in self.workers]  # all are asked, which frees the cores of those that ended
        return bool(states) and all(state is Status.ENDED for state in states)

    def wait(self) -> None:
        """Returns once all workers have ended."""
        while self.workers and not self.over():
            time.sleep(0.1)

    def end(self) -> None:
        """Stops the workers that still run, and waits for them."""
        if any(worker.status is not Status.ENDED for worker in self.workers):
            self._send(signal.SIGTERM)
            self.wait()

    def problems(self) -> list[str]:
        """What workers printed as problems, each line once."""
        lines = [line for worker in self.workers for line in worker.logs().splitlines()]
        return list(dict.fromkeys(line for line in lines if line.startswith(PREFIX)))

    def _send(self, number: int) -> None:
        for worker in self.workers:
            worker.stop(number)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Which engine starts how many workers, and how many cores and GPUs each gets. `slurm` has options of sbatch."""

    engine: Engine
    workers: int
    cpus: int = 1
    gpus: int = 0
    slurm: tuple[str, ...] = ()

    def cluster(self, url: str, name: str) -> Cluster:
        """The engine, for workers on the database at `url`; `name` is for the jobs of Slurm."""
        if self.engine is Engine.RAY:
            from optbench.launchers.ray_cluster import RayCluster

            return RayCluster(count=self.workers, url=url, cpus=self.cpus, gpus=self.gpus)
        from optbench.launchers.slurm import SlurmCluster

        script = Script(
            kind=ScriptKind.SLURM,
            workers=max(1, self.workers),
            cpus=self.cpus,
            gpus=self.gpus,
            name="-".join(("optbench", *re.findall(r"[a-z0-9]+", name.lower())))[:49].rstrip("-"),
            slurm=self.slurm,
            environment_file=os.devnull,  # the URL comes from the environment of sbatch
        )
        return SlurmCluster(script=script, url=url, count=self.workers)


def label_of(study: str) -> str:
    """The label that keeps workers to one study, and to its finals."""
    label = f"sweep {study}"
    if len(label) <= LONGEST_LABEL:
        return label
    return f"{label[: LONGEST_LABEL - 17]} {hashlib.sha256(label.encode()).hexdigest()[:16]}"


def _waiting(storage: Storage, name: str) -> StudyRecord:
    """The study. Raises StudyError if it has trials to train and is not in the queue, where workers would find it."""
    study = find_study(storage, name)
    if study.finished < (study.total or 0) and find_place(storage, study.study_id) is None:
        raise StudyError(f"study {name!r} is not in the queue; --workers 1 or more puts it there")
    return study


def _declined(storage: Storage, study: str, after: int) -> list[str]:
    """What workers wrote to the log about why they cannot train the study here, each line once."""
    events = recent_events(storage, study, count=1000, after=after)
    return [f"{PREFIX}{one.worker}: {one.text}" for one in events if one.kind in PROBLEMS]
