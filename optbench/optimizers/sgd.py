"""Gradient descent, with momentum or with Nesterov's (Sutskever et al. 2013)."""

from optbench.optimizers.contract import (
    FLAG,
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
from optbench.optimizers.knobs import changes_rate

MOMENTUM = (
    "the learning rate multiplies the whole momentum here, and in Keras each gradient before it enters the momentum: "
    "steps differ while a schedule changes the rate"
)


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    momentum, move = hparams["momentum"], hparams["learning_rate"] * gradient
    velocity = momentum * state["velocity"] + move
    return ops.where(hparams["nesterov"] > 0, momentum * velocity + move, velocity), {"velocity": velocity}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    return hparams["learning_rate"]


def torch(h: Hparams, steps: int) -> Translation:
    nesterov = bool(h["nesterov"] and h["momentum"])  # PyTorch refuses Nesterov's without momentum
    arguments = {"lr": h["learning_rate"], "momentum": h["momentum"], "nesterov": nesterov}
    return Translation("torch.optim.SGD", arguments, momentum_difference(h))


def optax(h: Hparams, steps: int) -> Translation:
    arguments = {name: h[name] for name in ("learning_rate", "momentum")} | {"nesterov": bool(h["nesterov"])}
    return Translation("optax.sgd", arguments, momentum_difference(h))


def momentum_difference(h: Hparams) -> str | None:
    """What differs where a framework multiplies the momentum by the learning rate; None if nothing does."""
    return MOMENTUM if h["momentum"] and changes_rate(h) else None


SGD = Optimizer(
    name="sgd",
    hyperparameters={
        "learning_rate": Hyperparameter(0.01),
        "momentum": Hyperparameter(0.0, high=1.0, closed=True),
        "nesterov": FLAG,
    },
    rule=Rule(("velocity",), update, effective_lr),
    translations=Translations(keras="SGD", torch=torch, optax=optax),
    colour="#7F7F7F",
)
