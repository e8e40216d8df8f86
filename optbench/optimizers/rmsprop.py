"""RMSprop (Tieleman and Hinton 2012, lecture 6e), epsilon inside the root as Keras has it."""

import math

from optbench.optimizers.contract import (
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


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    state = {"squares": hparams["rho"] * state["squares"] + (1 - hparams["rho"]) * gradient**2}
    return effective_lr(ops, weight, state, hparams, step) * gradient, state


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    return hparams["learning_rate"] / ops.sqrt(state["squares"] + hparams["epsilon"])


ROOT = (
    "epsilon stands outside the root here and inside it in Keras: eps is the root of the trial's epsilon = {:g}, which "
    "agrees where v is far from it and makes steps up to 29 % smaller where v is near it"
)


def torch(h: Hparams, steps: int) -> Translation:
    arguments = {"lr": h["learning_rate"], "alpha": h["rho"], "eps": math.sqrt(h["epsilon"])}
    return Translation("torch.optim.RMSprop", arguments, ROOT.format(h["epsilon"]))


def optax(h: Hparams, steps: int) -> Translation:
    arguments = {"learning_rate": h["learning_rate"], "decay": h["rho"], "eps": h["epsilon"], "eps_in_sqrt": True}
    return Translation("optax.rmsprop", arguments)


RMSPROP = Optimizer(
    name="rmsprop",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "rho": Hyperparameter(0.9, high=1.0, closed=True),
        "epsilon": Hyperparameter(1e-7),
    },
    rule=Rule(("squares",), update, effective_lr),
    translations=Translations(keras="RMSprop", torch=torch, optax=optax),
    colour="#009E73",
)
