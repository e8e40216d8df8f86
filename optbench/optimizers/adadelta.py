"""AdaDelta (Zeiler 2012, algorithm 1), its steps multiplied by Keras' learning rate."""

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
    rho, one_minus_rho, epsilon = hparams["rho"], hparams["one_minus_rho"], hparams["epsilon"]
    squares = rho * state["squares"] + one_minus_rho * gradient**2
    delta = ops.sqrt(state["deltas"] + epsilon) / ops.sqrt(squares + epsilon) * gradient
    deltas = rho * state["deltas"] + one_minus_rho * delta**2
    return hparams["learning_rate"] * delta, {"squares": squares, "deltas": deltas}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    roots = ops.sqrt(state["deltas"] + hparams["epsilon"]), ops.sqrt(state["squares"] + hparams["epsilon"])
    return hparams["learning_rate"] * roots[0] / roots[1]


def torch(h: Hparams, steps: int) -> Translation:
    return Translation("torch.optim.Adadelta", {"lr": h["learning_rate"], "rho": h["rho"], "eps": h["epsilon"]})


def optax(h: Hparams, steps: int) -> Translation:
    return Translation("optax.adadelta", {"learning_rate": h["learning_rate"], "rho": h["rho"], "eps": h["epsilon"]})


ADADELTA = Optimizer(
    name="adadelta",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "rho": Hyperparameter(0.95, high=1.0, closed=True),
        "epsilon": Hyperparameter(1e-7),
    },
    rule=Rule(("squares", "deltas"), update, effective_lr),
    translations=Translations(keras="Adadelta", torch=torch, optax=optax),
    colour="#0072B2",
    paper={"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6},
)
