"""A whole sweep, end to end, against the usual Optuna objective with a Keras model, a callback and the same pruner.

Both run the same number of trials and epochs of the same data, with TPE and the same median pruner, into SQLite; each
runs until its time is up, and trial-epochs per second of wall time count, start-up apart. Also prints the share of a
16-lane sweep's wall time that is not training: ask, judge, record.

    python -m tests.benchmarks.sweeping [--seconds S] [--data-dir DIR]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
EPOCHS = 50


def usual(split, seconds, folder):
    """Trial-epochs per second of study.optimize with Keras, as a tutorial would write it."""
    import keras
    import numpy as np
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train = split.train.pixels.astype(np.float32) / 255
    held = split.validation.pixels.astype(np.float32) / 255
    end, done = time.perf_counter() + seconds, []

    class Report(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None):
            done.append(time.perf_counter())
            self.trial.report(logs["val_accuracy"], epoch + 1)
            if self.trial.should_prune():
                raise optuna.TrialPruned
            if time.perf_counter() > end:
                self.model.stop_training = True

    def objective(trial):
        keras.backend.clear_session()
        layers = [
            keras.layers.Input((784,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, "softmax"),
        ]
        model = keras.Sequential(layers)
        optimizer = keras.optimizers.Adadelta(
            trial.suggest_float("learning_rate", 1e-3, 10, log=True),
            1 - trial.suggest_float("one_minus_rho", 1e-3, 0.5, log=True),
            trial.suggest_float("epsilon", 1e-10, 1e-1, log=True),
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(
            train, split.train.labels, batch_size=128, epochs=EPOCHS, verbose=0,
            validation_data=(held, split.validation.labels), callbacks=[Report(trial)],
        )  # fmt: skip
        return history.history["val_accuracy"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=10, n_warmup_steps=10, n_min_trials=5)
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/usual.db",
        direction="maximize",
        pruner=pruner,
        sampler=optuna.samplers.TPESampler(seed=0),
    )
    study.optimize(objective, timeout=seconds)
    return rate(done)


def ours(split, seconds, folder, lanes, watch=None):
    """Trial-epochs per second of our sweep `adadelta`."""
    from optbench.definition import load
    from optbench.launch import Launch, carry_on
    from optbench.storage import find_study, open_storage, open_study

    sweep = load("adadelta", {"lanes": lanes} if lanes else {})
    storage = open_storage(f"sqlite:///{folder}/ours-{lanes}.db", create=True)
    open_study(storage, sweep.name, "validation accuracy", {"trials": sweep.trials})
    launch = Launch(sweep, storage, find_study(storage, sweep.name), split, None)
    end, done = time.perf_counter() + seconds, []
    training = 0.0
    for one in carry_on(launch, "lanes", lambda: "now" if time.perf_counter() > end else None, lambda: None):
        done += [time.perf_counter()] * len(one.trained)
        if len(done) > len(one.trained):  # the first round compiles, and is left out below too
            training += sum(epoch.seconds for epoch in one.trained.values())
    storage.close()
    first = next(i for i, moment in enumerate(done) if moment > done[0])
    return rate(done), 1 - training / (done[-1] - done[first - 1])


def rate(moments):
    """Events per second after the first moment at which any came: compiling is left out of both sides."""
    after = [moment for moment in moments if moment > moments[0]]
    return len(after) / (after[-1] - moments[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--data-dir", type=Path)
    given = parser.parse_args()
    import subprocess
    import sys

    command = [sys.executable, "-m", "tests.benchmarks.sweeping", "--seconds", str(given.seconds)]
    if "OPTBENCH_SIDE" not in os.environ:
        if given.data_dir:
            command += ["--data-dir", str(given.data_dir)]
        for side in ("usual", "default", "16", "usual", "default", "16"):
            subprocess.run(command, check=True, env=os.environ | {"OPTBENCH_SIDE": side})
        return
    from optbench.training.build import configure
    from optbench.training.data import load

    side = os.environ["OPTBENCH_SIDE"]
    if side != "usual":
        configure("lanes")
    split = load("mnist", 10_000, 0, given.data_dir)
    with tempfile.TemporaryDirectory() as folder:
        if side == "usual":
            print(
                f"usual Optuna objective with Keras: {usual(split, given.seconds, folder):.2f} trial-epochs per second"
            )
        else:
            found, share = ours(split, given.seconds, folder, int(side) if side.isdigit() else None)
            print(
                f"optbench, {side} lanes: {found:.2f} trial-epochs per second; not training: {share:.1%} of wall time"
            )


if __name__ == "__main__":
    main()
