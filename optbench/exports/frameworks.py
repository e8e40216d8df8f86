"""A configuration in the words of Keras, PyTorch and optax, and what differs where their rule is another one.

Sources: the update rules of Keras 3.15, PyTorch 2.13 and optax 0.2.8; tests/test_exports.py runs all of them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optbench.space import KERAS_CLASSES, keras_arguments

Hparams = Mapping[str, float]


@dataclass(frozen=True)
class Translation:
    """An optimizer by its class or function with its arguments; `difference` is None where the algebra is the same."""

    name: str
    arguments: dict[str, Any]
    difference: str | None = None


def keras(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """For `keras.optimizers`; the rules here are Keras' own."""
    return Translation(KERAS_CLASSES[optimizer], keras_arguments(optimizer, hparams))


def torch(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """For `torch.optim`, in a training of so many steps."""
    return TORCH[optimizer](hparams, steps)


def optax(optimizer: str, hparams: Hparams, steps: int) -> Translation:
    """For `optax`, in a training of so many steps."""
    return OPTAX[optimizer](hparams, steps)


def epsilon_hat(hparams: Hparams, steps: int) -> str:
    """What Keras' place of Adam's epsilon amounts to where it is added to the root of the corrected mean square."""

    def factor(step: int) -> float:
        return 1 / math.sqrt(1 - hparams["beta_2"] ** step)

    sizes = ", ".join(f"x{factor(step):.3g} at step {step}" for step in sorted({1, min(469, steps), steps}))
    return (
        "epsilon stands elsewhere: here it is added to sqrt(v / (1 - beta_2^t)), in Keras to sqrt(v), so that the "
        f"trial's epsilon = {hparams['epsilon']:g} acted like epsilon / sqrt(1 - beta_2^t) here: {sizes}"
    )


ROOT = (
    "epsilon stands outside the root here and inside it in Keras: eps is the root of the trial's epsilon = {:g}, which "
    "agrees where v is far from it and makes steps up to 29 % smaller where v is near it"
)
WARM = (
    "the momentum warms up in Keras, beta_1 * (1 - 0.96^t / 2) at step t, and not here: it is 1.92 times as large at "
    "step 1, 1.07 times at step 50 and the same from about step 150 on"
)


def _torch_adam(name: str, exact: bool, **more: Any) -> Callable[[Hparams, int], Translation]:
    def translate(h: Hparams, steps: int) -> Translation:
        arguments = {"lr": h["learning_rate"], "betas": [h["beta_1"], h["beta_2"]], "eps": h["epsilon"], **more}
        if "weight_decay" in h:
            arguments["weight_decay"] = h["weight_decay"]
        return Translation(name, arguments, None if exact else epsilon_hat(h, steps))

    return translate


TORCH: Mapping[str, Callable[[Hparams, int], Translation]] = {
    "adadelta": lambda h, _: Translation(
        "torch.optim.Adadelta", {"lr": h["learning_rate"], "rho": h["rho"], "eps": h["epsilon"]}
    ),
    # what is inside the root in Keras is put into the sum's start, where it is the same
    "adagrad": lambda h, _: Translation(
        "torch.optim.Adagrad",
        {
            "lr": h["learning_rate"],
            "initial_accumulator_value": h["initial_accumulator_value"] + h["epsilon"],
            "eps": 0.0,
        },
    ),
    "adam": _torch_adam("torch.optim.Adam", exact=False),
    "adamw": _torch_adam("torch.optim.AdamW", exact=False),
    "nadam": _torch_adam("torch.optim.NAdam", exact=True, momentum_decay=1.0),
    "rmsprop": lambda h, _: Translation(
        "torch.optim.RMSprop",
        {"lr": h["learning_rate"], "alpha": h["rho"], "eps": math.sqrt(h["epsilon"])},
        ROOT.format(h["epsilon"]),
    ),
    "sgd": lambda h, _: Translation(
        "torch.optim.SGD",
        {"lr": h["learning_rate"], "momentum": h["momentum"], "nesterov": bool(h["nesterov"] and h["momentum"])},
    ),
}


def _optax_adam(name: str, difference: Callable[[Hparams, int], str]) -> Callable[[Hparams, int], Translation]:
    def translate(h: Hparams, steps: int) -> Translation:
        arguments = {
            "learning_rate": h["learning_rate"],
            "b1": h["beta_1"],
            "b2": h["beta_2"],
            "eps": h["epsilon"],
        }
        if "weight_decay" in h:
            arguments["weight_decay"] = h["weight_decay"]
        return Translation(name, arguments, difference(h, steps))

    return translate


OPTAX: Mapping[str, Callable[[Hparams, int], Translation]] = {
    "adadelta": lambda h, _: Translation(
        "optax.adadelta", {"learning_rate": h["learning_rate"], "rho": h["rho"], "eps": h["epsilon"]}
    ),
    "adagrad": lambda h, _: Translation(
        "optax.adagrad",
        {
            "learning_rate": h["learning_rate"],
            "initial_accumulator_value": h["initial_accumulator_value"],
            "eps": h["epsilon"],
        },
    ),
    "adam": _optax_adam("optax.adam", epsilon_hat),
    "adamw": _optax_adam("optax.adamw", epsilon_hat),
    "nadam": _optax_adam("optax.nadam", lambda h, steps: WARM),
    "rmsprop": lambda h, _: Translation(
        "optax.rmsprop",
        {"learning_rate": h["learning_rate"], "decay": h["rho"], "eps": h["epsilon"], "eps_in_sqrt": True},
    ),
    "sgd": lambda h, _: Translation(
        "optax.sgd",
        {"learning_rate": h["learning_rate"], "momentum": h["momentum"], "nesterov": bool(h["nesterov"])},
    ),
}
