"""A short Keras script that trains an exported configuration without optbench."""

import math
from collections.abc import Sequence

from optbench import __version__
from optbench.data.dataset import Facts
from optbench.data.own import is_own
from optbench.data.splits import TEST_DRAWN
from optbench.definition.network import BuiltModel, Model
from optbench.errors import StudyError
from optbench.exports import frameworks
from optbench.exports.choice import Choice
from optbench.optimizers import Translation
from optbench.optimizers.contract import Hparams
from optbench.optimizers.knobs import LABEL_SMOOTHING, batch_of, dropout_of

DIGITS = """from sklearn.datasets import load_digits

digits = load_digits()
images = np.pad(np.kron(digits.images / 16 * 255, np.ones((1, 3, 3))).round(), ((0, 0), (2, 2), (2, 2)))
x, y = images.reshape(-1, 784).astype("uint8"), digits.target
(x_train, y_train), (x_test, y_test) = (x[:1500], y[:1500]), (x[1500:], y[1500:])
"""
TFDS = """import tensorflow_datasets as tfds

data = tfds.as_numpy(tfds.load({name!r}, batch_size=-1))
x_train, y_train = data["train"]["image"].reshape(-1, {features}), data["train"]["label"]
x_test, y_test = data["test"]["image"].reshape(-1, {features}), data["test"]["label"]
"""
SCRIPT = """# {title}
# Trains on all training images of {data} and prints the test accuracy. Weights and batch order differ between runs.

import keras
import numpy as np
{function}{load}
optimizer = keras.optimizers.{kind}(
    {arguments},
)
model = keras.Sequential(
    [
        keras.layers.Input(({features},)),
        keras.layers.Rescaling(1 / 255),
{layers}
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer, loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size={batch}, epochs={epochs}, verbose=2)
print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
"""


def as_python(choices: Sequence[Choice]) -> str:
    """A script that trains the configuration's model with Keras, for its number of epochs. Raises StudyError."""
    if len(choices) > 1:
        raise StudyError(f"--format python writes one configuration, not {len(choices)}; leave --top out")
    study, trial = choices[0].study, choices[0].trial
    if study.sweep is None:
        raise StudyError(f"study {study.name!r} was not made by optbench, so its model and data are unknown")
    sweep = study.sweep
    if is_own(sweep.data) or {"data.scale", TEST_DRAWN} & study.fingerprint.keys():
        raise StudyError(
            "--format python writes scripts for digits and images of tensorflow-datasets with a test part, not for "
            f"{sweep.data.name}; --model FILE saves the trained network"
        )
    assert study.facts is not None, "a study that optbench made knows its data set"
    if trial.hyperparameters.get(LABEL_SMOOTHING):
        raise StudyError(f"--format python writes no label smoothing, which trial {trial.number} has; expected --model")
    features = math.prod(study.facts.shape)
    batch = batch_of(trial.hyperparameters, sweep.batch)
    steps = sweep.epochs * math.ceil(study.facts.examples / batch)
    found = frameworks.keras(trial.optimizer, trial.hyperparameters, steps)
    value = "" if trial.value is None else f", which had {study.metric} {100 * trial.value:.2f} %"
    layers = _layers(sweep.model, study.facts, trial.hyperparameters)
    load = DIGITS if sweep.data.name == "digits" else TFDS.format(name=sweep.data.name, features=features)
    return SCRIPT.format(
        title=f"Trial {trial.number} of the study {study.name!r}{value} (optbench {__version__}).",
        data=sweep.data.name,
        function=_import(sweep.model),
        load=f"\n{load}".rstrip("\n") + "\n",
        kind=found.name,
        arguments=_arguments(found, ",\n    "),
        layers="\n".join(f"        {layer}" for layer in layers),
        batch=batch,
        features=features,
        epochs=sweep.epochs,
    )


def _arguments(found: Translation, between: str) -> str:
    """The keyword arguments, as Python."""
    return between.join(
        f"{key}=keras.optimizers.schedules.{value.name}({_arguments(value, ', ')})"
        if isinstance(value, Translation)
        else f"{key}={value!r}"
        for key, value in found.arguments.items()
    )


def _layers(model: Model, facts: Facts, hparams: Hparams) -> list[str]:
    """The layers of the network, as Python."""
    if isinstance(model, BuiltModel):
        call = f"build({tuple(facts.shape)!r}, {len(facts.classes)}, **{dict(model.arguments)!r}),"
        return [f"keras.layers.Reshape({tuple(facts.shape)!r}),", call]
    rate = dropout_of(hparams, model.dropout)
    hidden = []
    for units in model.hidden:
        hidden.append(f"keras.layers.Dense({units}, activation={model.activation!r}),")
        if rate:
            hidden.append(f"keras.layers.Dropout({rate!r}),")
    return [*hidden, f"keras.layers.Dense({len(facts.classes)}),"]


def _import(model: Model) -> str:
    """The lines that load the network's function as `build`; "" for dense layers. All names are literals there."""
    if not isinstance(model, BuiltModel):
        return ""
    if model.file is None:
        return f"import importlib\n\nbuild = getattr(importlib.import_module({model.place!r}), {model.function!r})\n"
    return f"import runpy\n\nbuild = runpy.run_path({str(model.file)!r})[{model.function!r}]\n"
