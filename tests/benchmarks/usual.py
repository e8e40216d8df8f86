"""The usual way to tune a Keras model with Optuna, as a tutorial would write it: what benchmarks compare with."""

import time

import optuna

SPACE = {
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
    "one_minus_rho": {"low": 1e-3, "high": 0.5, "log": True},
    "epsilon": {"low": 1e-10, "high": 1e-1, "log": True},
}


def optimize(split, url, *, epochs, seconds, batch=128, seed=0, on_epoch=None, on_trial=None, **compiled):
    """Search AdaDelta's hyperparameters for so many seconds: a Keras model, a callback, TPE and the median pruner.

    `on_epoch()` is called after every epoch, and `on_trial(study, trial)` after every trial. `compiled` are further
    arguments of `model.compile`.
    """
    import keras
    import numpy as np

    train = split.train.inputs.astype(np.float32) / 255
    held = split.validation.inputs.astype(np.float32) / 255
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
        layers = [
            keras.layers.Input((train.shape[1],)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, "softmax"),
        ]
        model = keras.Sequential(layers)
        drawn = {name: trial.suggest_float(name, **range_) for name, range_ in SPACE.items()}
        optimizer = keras.optimizers.Adadelta(drawn["learning_rate"], 1 - drawn["one_minus_rho"], drawn["epsilon"])
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **compiled)
        history = model.fit(
            train, split.train.labels, batch_size=batch, epochs=epochs, verbose=0,
            validation_data=(held, split.validation.labels), callbacks=[Report(trial)],
        )  # fmt: skip
        return history.history["val_accuracy"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=10, n_warmup_steps=epochs // 5, n_min_trials=5)
    study = optuna.create_study(
        storage=url, direction="maximize", pruner=pruner, sampler=optuna.samplers.TPESampler(seed=seed)
    )
    study.optimize(objective, timeout=seconds, callbacks=[on_trial] if on_trial else None)
