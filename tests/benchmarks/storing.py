"""What a trial costs in addition to its training, in studies of growing size: ask, decide and record.

A database is filled with finished trials. Then workers that train nothing run further trials on it, all at once. The
time inside Optuna's sampler is measured separately from the rest. "start" is the time that a worker needs to read the
study, and "MB" is its peak memory.

    python -m tests.benchmarks.storing [--sizes 100 1000 10000] [--workers 1 4] [--kinds sqlite postgresql]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from sqlalchemy import insert

from optbench.definition import parse
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import Decision, Ending
from optbench.storage import Writer, open_storage, open_study
from optbench.storage.optuna_private import models
from optbench.storage.rows import attributes, curve_point, epoch_row, parameters
from optbench.storage.schema import TOKEN, epochs
from optbench.training.contract import Epoch
from tests.conftest import TINY
from tests.servers import KINDS

EPOCHS, TRIALS = 10, 40
SPACE = {name: {"low": 1e-3, "high": 1.0, "log": True} for name in ("learning_rate", "one_minus_rho", "epsilon")}
SWEEP = TINY | {"name": "growing", "trials": 100_000, "epochs": EPOCHS, "space": SPACE}
DRAWN = {name: FloatDistribution(1e-3, 1.0, log=True) for name in SPACE}


def epoch(n, accuracy):
    return Epoch(
        epoch=n,
        train_loss=0.5,
        train_accuracy=accuracy,
        validation_loss=0.5,
        validation_accuracy=accuracy,
        seconds=0.1,
        chance=0.1,
    )


def fill(url, size):
    """A study with so many complete trials."""
    chance, sweep = random.Random(0), parse(SWEEP, "benchmark")
    storage = open_storage(url, create=True)
    study_id, _ = open_study(storage, sweep.name, "validation accuracy", {"definition": sweep.definition()})
    token = storage.optuna.get_study_system_attrs(study_id)[TOKEN]
    now, complete = datetime.now(), TrialState.COMPLETE

    def work(session):
        session.add_all(
            models.TrialModel(
                trial_id=n + 1, number=n, study_id=study_id, state=complete, datetime_start=now, datetime_complete=now
            )
            for n in range(size)
        )
        session.flush()
        for n in range(size):
            value = chance.random()
            session.add_all(parameters(n + 1, {name: chance.uniform(1e-3, 1) for name in SPACE}, DRAWN))
            session.add_all(attributes({"slot": n, "worker": "filled", "epochs": EPOCHS, "diverged": False}, n + 1))
            session.add(models.TrialValueModel(trial_id=n + 1, objective=0, value=value, value_type="FINITE"))
        points = [(n + 1, epoch(e, chance.random())) for n in range(size) for e in range(1, EPOCHS + 1)]
        session.execute(insert(epochs), [epoch_row(*point, token, point[0] - 1) for point in points])
        session.execute(insert(models.TrialIntermediateValueModel), [curve_point(*point) for point in points])
        if storage.engine.dialect.name == "postgresql":
            session.connection().exec_driver_sql(f"ALTER SEQUENCE trials_trial_id_seq RESTART WITH {size + 1}")

    storage.write(work)
    storage.close()


def work(url, go):
    """One worker: its seconds per trial, by part."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = time.perf_counter()
    storage, sweep = open_storage(url), parse(SWEEP, "benchmark")
    study_id, _ = open_study(storage, sweep.name, "validation accuracy", {})
    study = Scheduler(sweep, Writer(storage, study_id, sweep.name))
    spent = {"start": time.perf_counter() - start, "sampler": 0.0}
    timed(
        optuna.samplers.TPESampler,
        spent,
        "sampler",
        "infer_relative_search_space",
        "sample_relative",
        "sample_independent",
    )
    trainer, total = SimpleNamespace(name="none", device="CPU", lanes=1, threads=None, xla=None), 0.0
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.01)
    for _ in range(TRIALS):
        began = time.perf_counter()
        job = study.ask("adadelta", trainer)
        for n in range(1, EPOCHS + 1):
            study.decide(job, epoch(n, 1.0))
            ending = {job.number: Ending(Decision.COMPLETE, 1.0, n)} if n == EPOCHS else {}
            study.record({job.number: epoch(n, 1.0)}, ending)
        total += time.perf_counter() - began
    status = Path("/proc/self/status").read_text()  # what getrusage says would be the parent's peak, if that is larger
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    sampler = spent["sampler"] / TRIALS
    own = total / TRIALS - sampler
    print(json.dumps({"sampler": sampler, "own": own, "start": spent["start"], "peak": peak}), flush=True)
    storage.close()


def timed(thing, spent, part, *methods):
    """Count the time inside these methods; one that calls another counts once."""
    inside = []

    def wrap(method):
        def call(*arguments, **named):
            began = time.perf_counter()
            inside.append(method)
            try:
                return method(*arguments, **named)
            finally:
                inside.pop()
                if not inside:
                    spent[part] += time.perf_counter() - began

        return call

    for name in methods:
        setattr(thing, name, wrap(getattr(thing, name)))


def measure(url, count, folder):
    """The medians over so many workers at once."""
    go = Path(folder) / f"go-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "tests.benchmarks.storing", "--work", url, str(go)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    go.touch()
    found = [json.loads(worker.communicate()[0]) for worker in workers]
    return {part: statistics.median(one[part] for one in found) for part in found[0]}


@contextmanager
def databases(kind, folder):
    """A function that gives URLs of new databases."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder}/{name}.db"
        return
    server = KINDS[kind]()
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--kinds", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work[0], Path(given.work[1]))
        return
    print("| database | workers | finished trials | ms per trial, ours | times that at the fewest | sampler ms "
          "| start s | MB |\n|" + " --- |" * 8)  # fmt: skip
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as folder, databases(kind, folder) as new:
            for count in given.workers:
                fewest = None
                for size in given.sizes:
                    url = new(f"w{count}n{size}")
                    fill(url, size)
                    found = measure(url, count, folder)
                    fewest = fewest or found["own"]
                    ours = f"{1000 * found['own']:.1f} | {found['own'] / fewest:.2f}"
                    rest = f"{1000 * found['sampler']:.1f} | {found['start']:.1f} | {found['peak']:.0f}"
                    print(f"| {kind} | {count} | {size} | {ours} | {rest} |", flush=True)


if __name__ == "__main__":
    main()
