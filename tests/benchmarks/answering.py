"""How soon a search has an answer of a given true quality: optbench, and the usual Optuna objective with Keras.

All search AdaDelta's three hyperparameters for the same network, data, epochs and batch size, each in a process of
its own, and the clock starts with the process. optbench searches with its default pruner and then runs its finals.
The other two are an Optuna objective with stock Keras, and with Keras tuned by `jit_compile` and
`steps_per_execution`; both have TPE and the median pruner.

At every moment a search has an incumbent: the best trial that has finished, and for optbench at the end the winner of
the finals. Single runs flatter incumbents, so every one is trained again afterwards on fresh seeds, and its true
quality is the mean of their validation accuracies. The answer is there from the moment on after which the incumbent's
true quality stays at the target or above. The target is the quality that stock Keras has at its end, the median over
the searches, unless --target gives it.

    python -m tests.benchmarks.answering [--searches 3] [--seconds 150] [--target PERCENT] [--data-dir DIR] [--quick]

The whole takes about 25 minutes on two cores. --quick takes about two: one search each, on digits.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.usual import SPACE, optimize

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIDES = {"stock": {}, "tuned": {"jit_compile": True, "steps_per_execution": 50}, "optbench": None}
NAMES = {"stock": "Optuna and stock Keras", "tuned": "Optuna and tuned Keras", "optbench": "optbench"}


@dataclass(frozen=True)
class Task:
    """What is searched: the data set, and the sizes of trials and of the search."""

    data: str
    validation: int
    batch: int
    epochs: int
    trials: int
    seeds: int

    def sweep(self, **changes):
        """A sweep file's keys."""
        data = {"name": self.data, "validation": self.validation}
        return {"name": "answer", "epochs": self.epochs, "batch": self.batch, "data": data, **changes}


FULL = Task("mnist", 10_000, 128, epochs=10, trials=32, seeds=4)
QUICK = Task("digits", 300, 32, epochs=8, trials=12, seeds=2)


def keras_search(task, side, seed, seconds, data_dir, began, folder):
    """The incumbents of an Optuna search with Keras: seconds since `began`, and hyperparameters."""
    from optbench.data import load
    from optbench.definition.data import DataSource

    incumbents = []

    def note(study, trial):
        if trial.value is not None and trial.state.name == "COMPLETE" and study.best_trial.number == trial.number:
            values = trial.params
            hparams = {
                "learning_rate": values["learning_rate"],
                "rho": 1 - values["one_minus_rho"],
                "epsilon": values["epsilon"],
            }
            incumbents.append([time.time() - began, hparams])

    split = load(DataSource(task.data, task.validation), seed, data_dir)
    left = seconds - (time.time() - began)
    optimize(
        split, f"sqlite:///{folder}/usual.db", epochs=task.epochs, seconds=left, batch=task.batch, seed=seed,
        on_trial=note, **SIDES[side],
    )  # fmt: skip
    return incumbents


def own_search(task, seed, data_dir, began, folder):
    """The incumbents of optbench: each best trial of the search when it ended, and the winner of the finals."""
    import optbench
    from optbench.storage import find_study, open_storage, trials

    url = f"sqlite:///{folder}/ours.db"
    sweep = task.sweep(optimizer="adadelta", trials=task.trials, space=SPACE, seed=seed)
    optbench.run(sweep, url, data_dir=data_dir, progress=False)
    storage = open_storage(url)
    study = find_study(storage, "answer")
    records = trials(storage, study.study_id)
    complete = sorted((one for one in records if one.state == "complete"), key=lambda one: one.ended)
    incumbents, best = [], -math.inf
    for trial in complete:
        if trial.value > best:
            best = trial.value
            incumbents.append([trial.ended.timestamp() - began, trial.hyperparameters])
    if study.finals is not None and study.finals.finalists:
        ended = max(one.ended for one in trials(storage, study.finals.study_id))
        winner = next(one for one in records if one.number == study.finals.finalists[0].trial)
        incumbents.append([ended.timestamp() - began, winner.hyperparameters])
    storage.close()
    return incumbents


def true_qualities(task, found, data_dir, folder):
    """The mean validation accuracy of each different configuration over fresh seeds, by its JSON text."""
    import optbench
    from optbench.storage import find_study, open_storage, trials

    texts = sorted({json.dumps(hparams, sort_keys=True) for searches in found.values() for one in searches
                    for _, hparams in one})  # fmt: skip
    fresh = list(range(1000, 1000 + task.seeds))
    listed = [
        {"optimizer": "adadelta", "label": str(n), "seeds": fresh, **json.loads(text)} for n, text in enumerate(texts)
    ]
    url = f"sqlite:///{folder}/truth.db"
    optbench.run(task.sweep(name="truth", trial=listed), url, data_dir=data_dir, progress=False)
    storage = open_storage(url)
    records = trials(storage, find_study(storage, "truth").study_id)
    storage.close()
    values = [[one.value for one in records if one.label == str(n)] for n in range(len(texts))]
    return {text: statistics.mean(own) for text, own in zip(texts, values, strict=True)}


def answered(incumbents, qualities, target):
    """The seconds from which on the incumbent's true quality is at the target or above; infinite if it never is."""
    reached = math.inf
    for seconds, hparams in reversed(incumbents):
        if qualities[json.dumps(hparams, sort_keys=True)] < target:
            break
        reached = seconds
    return reached


def search(side, task, seed, given):
    """The incumbents of one search, from a process of its own."""
    command = [sys.executable, *sys.orig_argv[1:], "--only", side, "--seed", str(seed), "--began", str(time.time())]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(task, given):
    """In the process of one search: prints its incumbents."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        if given.only == "optbench":
            found = own_search(task, given.seed, given.data_dir, given.began, folder)
        else:
            found = keras_search(task, given.only, given.seed, given.seconds, given.data_dir, given.began, folder)
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=3, help="how many searches of each, with seeds of their own")
    parser.add_argument("--seconds", type=float, default=150, help="how long a search with Keras lasts")
    parser.add_argument("--target", type=float, help="the true quality of an answer, in percent")
    parser.add_argument("--data-dir", type=Path, help="where tensorflow-datasets keeps MNIST")
    parser.add_argument("--quick", action="store_true", help="one search each, on digits, 30 seconds each")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    task = QUICK if given.quick else FULL
    if given.quick:
        given.searches, given.seconds = 1, min(given.seconds, 30)
    if given.only:
        measure(task, given)
        return
    found = {side: [] for side in SIDES}
    for seed in range(given.searches):
        for side in SIDES:
            found[side].append(search(side, task, seed, given))
    with tempfile.TemporaryDirectory() as folder:
        qualities = true_qualities(task, found, given.data_dir, folder)
    show(found, qualities, given.target)


def show(found, qualities, percent):
    """Print the table."""
    ends = {
        side: [qualities[json.dumps(one[-1][1], sort_keys=True)] if one else 0.0 for one in searches]
        for side, searches in found.items()
    }
    target = statistics.median(ends["stock"]) if percent is None else percent / 100
    if target == 0:
        sys.exit("stock Keras finished no trial: give it more --seconds, or give a --target")
    seconds = {side: [answered(one, qualities, target) for one in searches] for side, searches in found.items()}
    own = statistics.median(seconds["optbench"])
    print(f"The answer: a configuration of {target:.2%} true validation accuracy\n")
    print("| how | seconds, median | each search | optbench is sooner by | true quality at the end, median |")
    print("|" + " --- |" * 5)
    for side, each in seconds.items():
        middle = statistics.median(each)
        times = "-" if side == "optbench" or math.isinf(own) else f"{middle / own:.1f} times"
        listed = ", ".join("never" if math.isinf(one) else f"{one:.0f}" for one in each)
        print(f"| {NAMES[side]} | {middle:.0f} | {listed} | {times} | {statistics.median(ends[side]):.2%} |")


if __name__ == "__main__":
    main()
