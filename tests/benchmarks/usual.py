"""The usual way to tune a Keras model with Optuna, as a tutorial would write it: what benchmarks compare with."""

import math
import time

import optuna

SPACE = {
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
    "one_minus_rho": {"low": 1e-3, "high": 0.5, "log": True},
    "epsilon": {"low": 1e-10, "high": 1e-1, "log": True},
}


def tutorial(shape, classes):
    """The network of the tutorial."""
    import keras

    layers = [keras.layers.Input(shape), keras.layers.Flatten(), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


def optimize(
    split, url, *, epochs, seconds=math.inf, trials=None, batch=128, seed=0, build=tutorial, on_epoch=None,
    on_trial=None, **compiled,
):  # fmt: skip
    """Search AdaDelta's hyperparameters: a Keras model, a callback, TPE and the median pruner.

    It ends after so many trials or seconds. `build` gives a model from a shape and the number of classes, as
    `[model] build` does. `on_epoch()` is called after every epoch, and `on_trial(study, trial)` after every trial.
    `compiled` are further arguments of `model.compile`.
    """
    import keras

    train, held = (scaled(split, part) for part in (split.train, split.validation))
    end = time.perf_counter() + seconds

    class Report(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None):
            if on_epoch is not None:
                on_epoch()
            self.trial.report(logs["val_accuracy"], epoch + 1)
            if self.trial.should_prune() or time.perf_counter() > end:
                raise optuna.TrialPruned

    def objective(trial):
        keras.backend.clear_session()
        model = build(split.facts.shape, len(split.facts.classes))
        drawn = {name: trial.suggest_float(name, **range_) for name, range_ in SPACE.items()}
        optimizer = keras.optimizers.Adadelta(drawn["learning_rate"], 1 - drawn["one_minus_rho"], drawn["epsilon"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"], **compiled)
        history = model.fit(
            train, split.train.labels, batch_size=batch, epochs=epochs, verbose=0,
            validation_data=(held, split.validation.labels), callbacks=[Report(trial)],
        )  # fmt: skip
        return history.history["val_accuracy"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=10, n_warmup_steps=epochs // 5, n_min_trials=5)
    study = optuna.create_study(
        storage=url, direction="maximize", pruner=pruner, sampler=optuna.samplers.TPESampler(seed=seed)
    )
    timeout = None if math.isinf(seconds) else seconds
    study.optimize(objective, n_trials=trials, timeout=timeout, callbacks=[on_trial] if on_trial else None)


def scaled(split, examples):
    """The inputs, scaled as optbench scales them, in the shape that a model takes."""
    import numpy as np

    inputs = examples.inputs.astype(np.float32)
    if split.scale == "unit":
        inputs /= 255
    else:
        inputs = (inputs - split.train.inputs.mean(axis=0)) / split.train.inputs.std(axis=0)
    return inputs.reshape(-1, *split.facts.shape)
