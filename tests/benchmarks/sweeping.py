"""A whole sweep, end to end, against the usual Optuna objective with a Keras model, a callback and the same pruner.

Both train the same model on the same MNIST split, with TPE and the same median pruner, into SQLite, for the same time.
The measure is trial-epochs per second of wall time, without start-up and compilation. "Bookkeeping" is the fraction of
wall time that is not training or validation: ask, assign, decide, record. The 16 lanes train trials of 5 epochs instead
of 50. There are ten times as many trials to ask for and to assign as in the sweep that ships, so this fraction is an
upper bound.

    python -m tests.benchmarks.sweeping [--seconds S] [--data-dir DIR]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.usual import optimize

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
EPOCHS = 50
SIDES = {"usual": {}, "default": {}, "16 lanes": {"lanes": 16, "epochs": 5, "trials": 10_000}}


def usual(split, seconds, folder):
    """Trial-epochs per second of study.optimize with Keras, as a tutorial would write it."""
    done = []
    url = f"sqlite:///{folder}/usual.db"
    optimize(split, url, epochs=EPOCHS, seconds=seconds, on_epoch=lambda: done.append(time.perf_counter()))
    return {"rate": rate(done)}


def ours(split, seconds, folder, changes):
    """Trial-epochs per second of our sweep `adadelta`, and the fraction of bookkeeping."""
    from optbench.definition import load
    from optbench.storage import Writer, open_storage
    from optbench.worker.creation import create_study
    from optbench.worker.data import StudyData
    from optbench.worker.session import Session
    from optbench.worker.stop import StopRequest

    sweep = load("adadelta", {"pruner": {"name": "median"}, **changes})
    storage = open_storage(f"sqlite:///{folder}/ours.db", create=True)
    data = StudyData(split)
    create_study(storage, sweep, sweep.name, data.digests)
    end, done, training = time.perf_counter() + seconds, [], []
    record = Writer.record

    def counted(writer, trained, endings, marks):
        lost = record(writer, trained, endings, marks)
        if trained:
            done.extend([time.perf_counter()] * len(trained))
            training.append(sum(epoch.seconds for epoch in trained.values()))
        return lost

    Writer.record = counted
    stop = lambda: StopRequest.NOW if time.perf_counter() > end else None  # noqa: E731
    Session(storage, sweep.name, data=data).run(stop)
    storage.close()
    wall = done[-1] - done[0]  # the first round compiles
    return {"rate": rate(done), "bookkeeping": 1 - sum(training[1:]) / wall}


def rate(moments):
    """Events per second after the first moment at which any came."""
    after = [moment for moment in moments if moment > moments[0]]
    return len(after) / (after[-1] - moments[0])


def measure(side, seconds, data_dir):
    """One side, in this process."""
    import optuna

    from optbench.data import load
    from optbench.definition.data import DataSource
    from optbench.training.tensorflow.build import configure

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if side != "usual":
        configure("lanes")
    split = load(DataSource("mnist", 10_000), 0, data_dir)
    with tempfile.TemporaryDirectory() as folder:
        found = usual(split, seconds, folder) if side == "usual" else ours(split, seconds, folder, SIDES[side])
    return found | {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long each side runs each time")
    parser.add_argument("--repeat", type=int, default=2, help="how often to go through all sides")
    parser.add_argument("--data-dir", type=Path, help="where tensorflow-datasets keeps MNIST")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.seconds, given.data_dir)))
        return
    found = {side: [] for side in SIDES}
    for _ in range(given.repeat):
        for side in SIDES:
            done = subprocess.run(
                [sys.executable, *sys.orig_argv[1:], "--only", side], stdout=subprocess.PIPE, check=True
            )
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    rates = {side: statistics.median(run["rate"] for run in runs) for side, runs in found.items()}
    print("| how | trial-epochs per second | min-max | times as fast | bookkeeping | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side, runs in found.items():
        each = [run["rate"] for run in runs]
        fraction = f"{max(run['bookkeeping'] for run in runs):.1%}" if "bookkeeping" in runs[0] else "-"
        memory = max(run["megabytes"] for run in runs)
        ratio = rates[side] / rates["usual"]
        print(
            f"| {side} | {rates[side]:.2f} | {min(each):.2f}-{max(each):.2f} | {ratio:.1f} "
            f"| {fraction} | {memory:.0f} |"
        )


if __name__ == "__main__":
    main()
