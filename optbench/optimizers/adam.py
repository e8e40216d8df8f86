"""Adam (Kingma and Ba 2015) in the "epsilon hat" form of its section 2, as Keras computes it."""

import math

from optbench.optimizers.contract import (
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

HYPERPARAMETERS = {
    "learning_rate": Hyperparameter(0.001),
    "beta_1": Hyperparameter(0.9, high=1.0, closed=True),
    "beta_2": Hyperparameter(0.999, high=1.0, closed=True),
    "epsilon": Hyperparameter(1e-7),
}


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    beta_1, beta_2 = hparams["beta_1"], hparams["beta_2"]
    rate = hparams["learning_rate"] * ops.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    mean = state["mean"] + (gradient - state["mean"]) * (1 - beta_1)
    squares = state["squares"] + (gradient**2 - state["squares"]) * (1 - beta_2)
    return rate * mean / (ops.sqrt(squares) + hparams["epsilon"]), {"mean": mean, "squares": squares}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    corrected = state["squares"] / (1 - hparams["beta_2"] ** step)
    return hparams["learning_rate"] / (ops.sqrt(corrected) + hparams["epsilon"])


def epsilon_hat(h: Hparams, steps: int) -> str:
    """What Keras' place of Adam's epsilon amounts to where it is added to the root of the corrected mean square."""

    def factor(step: int) -> float:
        return 1 / math.sqrt(1 - h["beta_2"] ** step)

    sizes = ", ".join(f"x{factor(step):.3g} at step {step}" for step in sorted({1, min(469, steps), steps}))
    return (
        "epsilon stands elsewhere: here it is added to sqrt(v / (1 - beta_2^t)), in Keras to sqrt(v), so the trial's "
        f"epsilon = {h['epsilon']:g} acted like epsilon / sqrt(1 - beta_2^t) here: {sizes}"
    )


def torch_arguments(h: Hparams) -> dict[str, Argument]:
    """The arguments of Adam and its kin in `torch.optim`."""
    return {"lr": h["learning_rate"], "betas": [h["beta_1"], h["beta_2"]], "eps": h["epsilon"]}


def optax_arguments(h: Hparams) -> dict[str, Argument]:
    """The arguments of Adam and its kin in `optax`."""
    return {"learning_rate": h["learning_rate"], "b1": h["beta_1"], "b2": h["beta_2"], "eps": h["epsilon"]}


def torch(h: Hparams, steps: int) -> Translation:
    return Translation("torch.optim.Adam", torch_arguments(h), epsilon_hat(h, steps))


def optax(h: Hparams, steps: int) -> Translation:
    return Translation("optax.adam", optax_arguments(h), epsilon_hat(h, steps))


ADAM = Optimizer(
    name="adam",
    hyperparameters=HYPERPARAMETERS,
    rule=Rule(("mean", "squares"), update, effective_lr),
    translations=Translations(keras="Adam", torch=torch, optax=optax),
    colour="#D55E00",
)
