"""A short Keras script that trains an exported configuration, for people who do not want optbench."""

from collections.abc import Sequence
from typing import Any

from optbench import __version__
from optbench.errors import StudyError
from optbench.exports import frameworks
from optbench.exports.choice import Choice

DIGITS = """from sklearn.datasets import load_digits

digits = load_digits()
images = np.pad(np.kron(digits.images / 16 * 255, np.ones((1, 3, 3))).round(), ((0, 0), (2, 2), (2, 2)))
x, y = images.reshape(-1, 784).astype("uint8"), digits.target
(x_train, y_train), (x_test, y_test) = (x[:1500], y[:1500]), (x[1500:], y[1500:])
"""
TFDS = """import tensorflow_datasets as tfds

data = tfds.as_numpy(tfds.load({name!r}, batch_size=-1))
x_train, y_train = data["train"]["image"].reshape(-1, 784), data["train"]["label"]
x_test, y_test = data["test"]["image"].reshape(-1, 784), data["test"]["label"]
"""
SCRIPT = """# {title}
# Trains on all training images of {data} and says the test accuracy; weights and batch order differ from run to run.

import keras
import numpy as np
{load}
optimizer = keras.optimizers.{kind}(
    {arguments},
)
model = keras.Sequential(
    [
        keras.layers.Input((784,)),
        keras.layers.Rescaling(1 / 255),
{layers}
        keras.layers.Dense(10),
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
    definition: Any = study.definition
    found = frameworks.keras(trial.optimizer, trial.hyperparameters, 0)
    value = "" if trial.value is None else f", which had {study.metric} {trial.value:.4f}"
    name, model = definition["data"]["name"], definition["model"]
    return SCRIPT.format(
        title=f"Trial {trial.number} of the study {study.name!r}{value} (optbench {__version__}).",
        data=name,
        load=f"\n{DIGITS if name == 'digits' else TFDS.format(name=name)}".rstrip("\n") + "\n",
        kind=found.name,
        arguments=",\n    ".join(f"{key}={value!r}" for key, value in found.arguments.items()),
        layers="\n".join(
            f"        keras.layers.Dense({units}, activation={model['activation']!r})," for units in model["hidden"]
        ),
        batch=definition["batch"],
        epochs=definition["epochs"],
    )
