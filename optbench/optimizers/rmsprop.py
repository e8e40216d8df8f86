"""RMSprop (Tieleman and Hinton 2012, lecture 6e), epsilon inside the root as Keras has it.

With `momentum`, or `centered` around the mean gradient, as in Graves (2013), equations 38 to 41.
"""

import math

from optbench.optimizers.contract import (
    OPTIONAL_FLAG,
    Argument,
    Hparams,
    Hyperparameter,
    Ops,
    Optimizer,
    Rule,
    State,
    Tensor,
    Tensors,
    Translation,
    Translations,
)
from optbench.optimizers.sgd import momentum_difference


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    rho, one_minus_rho = hparams["rho"], hparams["one_minus_rho"]
    new = {"squares": rho * state["squares"] + one_minus_rho * gradient**2}
    if "mean" in state:
        new["mean"] = rho * state["mean"] + one_minus_rho * gradient
    delta = effective_lr(ops, weight, new, hparams, step) * gradient
    if "velocity" in state:
        delta = new["velocity"] = hparams["momentum"] * state["velocity"] + delta
    return delta, new


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    divisor = state["squares"]
    if "mean" in state:  # centered: the variance in place of the mean square
        divisor = ops.where(hparams["centered"] > 0, divisor - state["mean"] ** 2, divisor)
    return hparams["learning_rate"] / ops.sqrt(divisor + hparams["epsilon"])


ROOT = (
    "epsilon stands outside the root here and inside it in Keras: eps is the root of the trial's epsilon = {:g}, which "
    "agrees where v is far from it and makes steps up to 29 % smaller where v is near it"
)


def torch(h: Hparams, steps: int) -> Translation:
    arguments = {"lr": h["learning_rate"], "alpha": h["rho"], "eps": math.sqrt(h["epsilon"])}
    differences = [ROOT.format(h["epsilon"]), momentum_difference(h)]
    return Translation("torch.optim.RMSprop", {**arguments, **_variant(h)}, "; ".join(filter(None, differences)))


def optax(h: Hparams, steps: int) -> Translation:
    arguments = {"learning_rate": h["learning_rate"], "decay": h["rho"], "eps": h["epsilon"], "eps_in_sqrt": True}
    return Translation("optax.rmsprop", {**arguments, **_variant(h)})


def _variant(h: Hparams) -> dict[str, Argument]:
    """The arguments for momentum and centering, where they are used."""
    centered: dict[str, Argument] = {"centered": True} if h["centered"] else {}
    return {"momentum": h["momentum"], **centered} if h["momentum"] else centered


RMSPROP = Optimizer(
    name="rmsprop",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "rho": Hyperparameter(0.9, high=1.0, closed=True),
        "epsilon": Hyperparameter(1e-7),
        "momentum": Hyperparameter(0.0, high=1.0, closed=True, optional=True),
        "centered": OPTIONAL_FLAG,
    },
    rule=Rule(("squares",), update, effective_lr, optional={"mean": "centered", "velocity": "momentum"}),
    translations=Translations(keras="RMSprop", torch=torch, optax=optax),
    colour="#009E73",
)
