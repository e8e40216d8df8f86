"""Sweeps on one's own data and models, against the usual Optuna objective with the same Keras model.

Three tasks: a table of 20,000 rows, 50 features and 5 classes with the network 50-128-5; the same table with a Keras
function of dense layers with batch normalization; and MNIST with the convolutional network of sweeps/cnn.py, which has
dropout. Every side searches AdaDelta's three hyperparameters with TPE, the same seed and the median pruner, for as many
trials. The measure is trial-epochs per second of wall time, from the first trial's start to the last one's end, so that
every compilation counts. Each side runs in a process of its own, in turn. The convolutional network is also trained
with everything through XLA, which shows what the rule in `optbench docs models` saves.

    python -m tests.benchmarks.owning [--repeat N] [--tasks TASK ...] [--data-dir DIR]

The whole takes about 15 minutes on two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.usual import SPACE, optimize, tutorial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIDES = {"stock": {}, "tuned": {"jit_compile": True, "steps_per_execution": 50}, "all XLA": None, "optbench": None}
NAMES = {"stock": "Optuna and stock Keras", "tuned": "Optuna and tuned Keras", "optbench": "optbench"}
NAMES |= {"all XLA": "optbench with everything through XLA"}
TASKS = {
    "table": {"epochs": 10, "trials": 16},
    "normalized": {"epochs": 10, "trials": 16},
    "cnn": {"epochs": 2, "trials": 6},
}
PRUNER = {"name": "median", "n_startup_trials": 10, "n_warmup_steps": 2, "n_min_trials": 5}


def normalized(shape, classes):
    """Dense layers with batch normalization."""
    import keras

    layers = [keras.layers.Input(shape)]
    for units in (128, 64):
        layers += [
            keras.layers.Dense(units, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
        ]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def data_of(task, folder):
    """The keys of [data]: MNIST, or a table of normal clusters, which is written to the folder."""
    if task == "cnn":
        return {"name": "mnist", "validation": 10_000}
    import numpy as np
    from sklearn.datasets import make_classification

    file = Path(folder) / "table.npz"
    x, y = make_classification(20_000, 50, n_informative=20, n_classes=5, random_state=0)
    np.savez(file, x=x.astype(np.float32), y=y)
    return {"file": str(file), "validation": 0.2}


def model_of(task):
    """The function that builds the task's model, and the keys of [model]."""
    if task == "table":
        return tutorial, {"hidden": [128]}
    if task == "normalized":
        return normalized, {"build": "tests.benchmarks.owning:normalized"}
    from sweeps.cnn import cnn

    return cnn, {"build": "sweeps.cnn:cnn"}


def measure(task, side, data_dir):
    """Trial-epochs per second of one side, in this process."""
    import optuna

    import optbench
    from optbench.worker.data import load_data

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes = TASKS[task]
    build, model = model_of(task)
    with tempfile.TemporaryDirectory() as folder:
        keys = {"name": "own", "optimizer": "adadelta", "batch": 128, "space": SPACE, "model": model, **sizes}
        keys |= {"data": data_of(task, folder), "pruner": PRUNER, "known": False, "finals": False}
        sweep = optbench.load(keys)
        data = load_data(sweep, "lanes", data_dir)
        done, began = [], time.perf_counter()
        if side == "all XLA":
            from optbench.training.tensorflow import keras_model

            keras_model._slow_in_xla = lambda layer: False
        if SIDES[side] is None:
            done = own(sweep, data, folder)
        else:
            note = lambda: done.append(time.perf_counter())  # noqa: E731
            optimize(data.split, f"sqlite:///{folder}/usual.db", build=build, on_epoch=note, **sizes, **SIDES[side])
        return {"rate": len(done) / (done[-1] - began), "epochs": len(done)}


def own(sweep, data, folder):
    """The moments at which trials of optbench finished an epoch."""
    from optbench.storage import open_storage
    from optbench.worker.creation import create_study
    from optbench.worker.events import EpochFinished
    from optbench.worker.session import Session

    done = []

    def note(event):
        if isinstance(event, EpochFinished):
            done.append(time.perf_counter())

    storage = open_storage(f"sqlite:///{folder}/own.db", create=True)
    create_study(storage, sweep, sweep.name, data.digests, facts=data.facts)
    Session(storage, sweep.name, data=data).run(lambda: None, [note])
    storage.close()
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=2, help="how often to go through all sides")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--data-dir", type=Path, help="where tensorflow-datasets keeps MNIST")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(*given.only, given.data_dir)))
        return
    print("| task | how | trial-epochs per second | min-max | optbench is faster by |")
    print("|" + " --- |" * 5)
    for task in given.tasks:
        found = {side: [] for side in SIDES if side != "all XLA" or task == "cnn"}
        for _ in range(given.repeat):
            for side in found:
                command = [sys.executable, *sys.orig_argv[1:], "--only", task, side]
                ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found[side].append(json.loads(ended.stdout.splitlines()[-1])["rate"])
        rates = {side: statistics.median(each) for side, each in found.items()}
        for side, each in found.items():
            times = "-" if side == "optbench" else f"{rates['optbench'] / rates[side]:.1f} times"
            spread = f"{min(each):.2f}-{max(each):.2f}"
            print(f"| {task} | {NAMES[side]} | {rates[side]:.2f} | {spread} | {times} |", flush=True)


if __name__ == "__main__":
    main()
