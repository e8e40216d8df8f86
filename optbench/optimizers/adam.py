"""Adam (Kingma and Ba 2015) in the "epsilon hat" form of its section 2, as Keras computes it."""

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

HYPERPARAMETERS = {
    "learning_rate": Hyperparameter(0.001),
    "beta_1": Hyperparameter(0.9, high=1.0, closed=True),
    "beta_2": Hyperparameter(0.999, high=1.0, closed=True),
    "epsilon": Hyperparameter(1e-7),
}
AMSGRAD = {"amsgrad": OPTIONAL_FLAG}


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    # Keras takes the powers of beta in single precision, but the weights 1 - beta of the averages from double.
    rate = hparams["learning_rate"] * ops.sqrt(1 - hparams["beta_2"] ** step) / (1 - hparams["beta_1"] ** step)
    mean = state["mean"] + (gradient - state["mean"]) * hparams["one_minus_beta_1"]
    squares = state["squares"] + (gradient**2 - state["squares"]) * hparams["one_minus_beta_2"]
    new = {"mean": mean, "squares": squares}
    if "largest" in state:
        new["largest"] = ops.maximum(state["largest"], squares)
    return rate * mean / (ops.sqrt(_divisor(ops, new, hparams)) + hparams["epsilon"]), new


def _divisor(ops: Ops, state: State, hparams: Tensors) -> Tensor:
    """The mean of the squares, or with `amsgrad` its largest value so far (Reddi, Kale and Kumar 2018)."""
    if "largest" not in state:
        return state["squares"]
    return ops.where(hparams["amsgrad"] > 0, state["largest"], state["squares"])


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    corrected = _divisor(ops, state, hparams) / (1 - hparams["beta_2"] ** step)
    return hparams["learning_rate"] / (ops.sqrt(corrected) + hparams["epsilon"])


def epsilon_hat(h: Hparams, steps: int) -> str:
    """How Keras' epsilon acts in a framework that adds it to the root of the bias-corrected mean square."""

    def factor(step: int) -> float:
        return 1 / math.sqrt(1 - h["beta_2"] ** step)

    sizes = ", ".join(f"x{factor(step):.3g} at step {step}" for step in sorted({1, min(469, steps), steps}))
    return (
        "epsilon stands elsewhere: here it is added to sqrt(v / (1 - beta_2^t)), in Keras to sqrt(v), so the trial's "
        f"epsilon = {h['epsilon']:g} acted like epsilon / sqrt(1 - beta_2^t) here: {sizes}"
    )


def torch_arguments(h: Hparams) -> dict[str, Argument]:
    """The arguments of Adam and its variants in `torch.optim`."""
    amsgrad: dict[str, Argument] = {"amsgrad": True} if h.get("amsgrad") else {}
    return {"lr": h["learning_rate"], "betas": [h["beta_1"], h["beta_2"]], "eps": h["epsilon"], **amsgrad}


def optax_arguments(h: Hparams) -> dict[str, Argument]:
    """The arguments of Adam and its variants in `optax`."""
    return {"learning_rate": h["learning_rate"], "b1": h["beta_1"], "b2": h["beta_2"], "eps": h["epsilon"]}


def torch(h: Hparams, steps: int) -> Translation:
    if decay := h.get("weight_decay"):
        return Translation("torch.optim.AdamW", torch_arguments(h) | {"weight_decay": decay}, epsilon_hat(h, steps))
    return Translation("torch.optim.Adam", torch_arguments(h), epsilon_hat(h, steps))


def optax(h: Hparams, steps: int) -> Translation:
    if h["amsgrad"]:
        also = "; the largest mean square is taken after the bias correction here, and before it in Keras"
        return Translation("optax.amsgrad", optax_arguments(h), epsilon_hat(h, steps) + also)
    return Translation("optax.adam", optax_arguments(h), epsilon_hat(h, steps))


ADAM = Optimizer(
    name="adam",
    hyperparameters=HYPERPARAMETERS | AMSGRAD,
    rule=Rule(("mean", "squares"), update, effective_lr, optional={"largest": "amsgrad"}),
    translations=Translations(keras="Adam", torch=torch, optax=optax),
    colour="#D55E00",
)
