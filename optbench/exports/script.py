"""A short Keras script that trains an exported configuration. It needs optbench only for data that optbench splits."""

import math
from collections.abc import Sequence

from optbench import __version__
from optbench.data.dataset import Facts
from optbench.data.own import is_own
from optbench.data.splits import TEST_DRAWN
from optbench.definition.network import BuiltModel, Model
from optbench.definition.sweep import Sweep
from optbench.errors import StudyError
from optbench.exports import frameworks
from optbench.exports.choice import Choice
from optbench.exports.companions import keras_loss
from optbench.optimizers import Translation
from optbench.optimizers.contract import Hparams
from optbench.optimizers.knobs import LABEL_SMOOTHING, batch_of, dropout_of
from optbench.storage import StudyRecord

DIGITS = """
import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
images = np.pad(np.kron(digits.images / 16 * 255, np.ones((1, 3, 3))).round(), ((0, 0), (2, 2), (2, 2)))
x, y = images.astype("uint8"), digits.target
(x_train, y_train), (x_test, y_test) = (x[:1500], y[:1500]), (x[1500:], y[1500:])
"""
TFDS = """
import tensorflow_datasets as tfds

data = tfds.load({name!r}, batch_size=-1, as_supervised=True)
(x_train, y_train), (x_test, y_test) = (tfds.as_numpy(data[part]) for part in ("train", "test"))
x_train, x_test = x_train.reshape(-1, *{shape}), x_test.reshape(-1, *{shape})
"""
OWN = """
import optbench

data = optbench.load_data({data!r})  # scaled
x_train, y_train, x_test, y_test = data.x, data.y, data.x_test, data.y_test
"""
SMOOTHED = """
y_train, y_test = (keras.utils.to_categorical(y, {classes}) for y in (y_train, y_test))"""
SCRIPT = """# {title}
# Trains on all training examples of {data} and prints the test accuracy. Weights and batch order differ between runs.

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's log lines, while it loads

import keras
{function}{load}
optimizer = keras.optimizers.{kind}(
    {arguments},
)
model = keras.Sequential(
    [
        keras.layers.Input({shape}),
{layers}
    ]
)
loss = keras.losses.{loss}
model.compile(optimizer, loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size={batch}, epochs={epochs}, verbose=2)
print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
"""


def as_python(choices: Sequence[Choice]) -> str:
    """A script that trains the configuration's model with Keras, for its number of epochs. Raises StudyError."""
    if len(choices) > 1:
        raise StudyError(f"--format python writes one configuration, not {len(choices)}; leave --top out")
    study, trial = choices[0].study, choices[0].trial
    if study.sweep is None or study.facts is None:
        raise StudyError(f"study {study.name!r} was not made by optbench, so its model and data are unknown")
    sweep, hparams, facts = study.sweep, trial.hyperparameters, study.facts
    batch = batch_of(hparams, sweep.batch)
    steps = sweep.epochs * math.ceil(facts.examples / batch)
    found = frameworks.keras(trial.optimizer, hparams, steps)
    value = "" if trial.value is None else f", which had {study.metric} {100 * trial.value:.2f} %"
    ready = _by_optbench(study, sweep)
    scaled = [] if ready else ["keras.layers.Rescaling(1 / 255),"]
    smoothing = hparams.get(LABEL_SMOOTHING, 0.0)
    loss = keras_loss(smoothing) if smoothing else Translation("SparseCategoricalCrossentropy", {"from_logits": True})
    return SCRIPT.format(
        title=f"Trial {trial.number} of the study {study.name!r}{value} (optbench {__version__}).",
        data=sweep.data.name,
        function=_import(sweep.model),
        load=_load(sweep, facts, ready) + (SMOOTHED.format(classes=len(facts.classes)) if smoothing else ""),
        kind=found.name,
        arguments=_arguments(found, ",\n    "),
        layers="\n".join(f"        {layer}" for layer in [*scaled, *_layers(sweep.model, facts, hparams)]),
        loss=as_call(loss),
        batch=batch,
        shape=tuple(facts.shape),
        epochs=sweep.epochs,
    )


def _by_optbench(study: StudyRecord, sweep: Sweep) -> bool:
    """Whether optbench draws the test part or scales the inputs, so that the script needs it to load the data."""
    return is_own(sweep.data) or bool({"data.scale", TEST_DRAWN} & study.fingerprint.keys())


def _load(sweep: Sweep, facts: Facts, ready: bool) -> str:
    """The lines that load the data."""
    if ready:
        return OWN.format(data=sweep.definition()["data"])
    return DIGITS if sweep.data.name == "digits" else TFDS.format(name=sweep.data.name, shape=tuple(facts.shape))


def as_call(found: Translation) -> str:
    """The class with its arguments, as Python calls it."""
    return f"{found.name}({_arguments(found, ', ')})"


def _arguments(found: Translation, between: str) -> str:
    """The keyword arguments, as Python."""
    return between.join(
        f"{key}=keras.optimizers.schedules.{as_call(value)}" if isinstance(value, Translation) else f"{key}={value!r}"
        for key, value in found.arguments.items()
    )


def _layers(model: Model, facts: Facts, hparams: Hparams) -> list[str]:
    """The layers of the network, as Python."""
    if isinstance(model, BuiltModel):
        return [f"build({tuple(facts.shape)!r}, {len(facts.classes)}, **{dict(model.arguments)!r}),"]
    rate = dropout_of(hparams, model.dropout)
    layers = [] if len(facts.shape) == 1 else ["keras.layers.Flatten(),"]
    for units in model.hidden:
        layers.append(f"keras.layers.Dense({units}, activation={model.activation!r}),")
        if rate:
            layers.append(f"keras.layers.Dropout({rate!r}),")
    return [*layers, f"keras.layers.Dense({len(facts.classes)}),"]


def _import(model: Model) -> str:
    """The lines that load the network's function as `build`; "" for dense layers. All names are literals there."""
    if not isinstance(model, BuiltModel):
        return ""
    if model.file is None:
        return f"import importlib\n\nbuild = getattr(importlib.import_module({model.place!r}), {model.function!r})\n"
    return f"import runpy\n\nbuild = runpy.run_path({str(model.file)!r})[{model.function!r}]\n"
