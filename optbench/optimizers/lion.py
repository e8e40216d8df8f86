"""Lion (Chen et al. 2023): steps along the sign of a momentum, with weight decay multiplied by the learning rate."""

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
    # Keras' Lion subtracts beta_1 and beta_2 from 1 in single precision, unlike its Adam.
    mixed = hparams["beta_1"] * state["mean"] + (1 - hparams["beta_1"]) * gradient
    mean = hparams["beta_2"] * state["mean"] + (1 - hparams["beta_2"]) * gradient
    return hparams["learning_rate"] * (ops.sign(mixed) + hparams["weight_decay"] * weight), {"mean": mean}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    """The factor of the sign. A step does not depend on the size of the gradient."""
    return hparams["learning_rate"]


def optax(h: Hparams, steps: int) -> Translation:
    arguments = {"learning_rate": h["learning_rate"], "b1": h["beta_1"], "b2": h["beta_2"]}
    return Translation("optax.lion", arguments | {"weight_decay": h["weight_decay"]})


LION = Optimizer(
    name="lion",
    hyperparameters={
        "learning_rate": Hyperparameter(0.001),
        "beta_1": Hyperparameter(0.9, high=1.0, closed=True),
        "beta_2": Hyperparameter(0.99, high=1.0, closed=True),
        "weight_decay": Hyperparameter(0.0, closed=True),
    },
    rule=Rule(("mean",), update, effective_lr),
    translations=Translations(keras="Lion", torch=None, optax=optax),
    colour="#999933",
)
