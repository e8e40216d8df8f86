"""Adagrad (Duchi, Hazan and Singer 2011). Its sum of squares starts at `initial_accumulator_value`."""

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
    state = {"squares": state["squares"] + gradient**2}
    return effective_lr(ops, weight, state, hparams, step) * gradient, state


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    squares = hparams["initial_accumulator_value"] + state["squares"]
    return hparams["learning_rate"] / ops.sqrt(squares + hparams["epsilon"])


def torch(h: Hparams, steps: int) -> Translation:
    """PyTorch adds epsilon outside the root, and Keras inside it, so epsilon is added to the start of the sum here."""
    start = h["initial_accumulator_value"] + h["epsilon"]
    arguments = {"lr": h["learning_rate"], "initial_accumulator_value": start, "eps": 0.0}
    return Translation("torch.optim.Adagrad", arguments)


def optax(h: Hparams, steps: int) -> Translation:
    arguments = {name: h[name] for name in ("learning_rate", "initial_accumulator_value")} | {"eps": h["epsilon"]}
    return Translation("optax.adagrad", arguments)


ADAGRAD = Optimizer(
    name="adagrad",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "initial_accumulator_value": Hyperparameter(0.1, closed=True),
        "epsilon": Hyperparameter(1e-7),
    },
    rule=Rule(("squares",), update, effective_lr),
    translations=Translations(keras="Adagrad", torch=torch, optax=optax),
    colour="#E69F00",
)
