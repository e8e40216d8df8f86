"""Adamax (Kingma and Ba 2015, section 7.1): Adam with a decaying maximum of |gradient| in place of the mean square."""

from optbench.optimizers import adam
from optbench.optimizers.contract import (
    Hparams,
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
    mean = state["mean"] + (gradient - state["mean"]) * hparams["one_minus_beta_1"]
    largest = ops.maximum(hparams["beta_2"] * state["largest"], ops.abs(gradient))
    delta = hparams["learning_rate"] * mean / ((1 - hparams["beta_1"] ** step) * (largest + hparams["epsilon"]))
    return delta, {"mean": mean, "largest": largest}


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    return hparams["learning_rate"] / (state["largest"] + hparams["epsilon"])


INSIDE = (
    "epsilon is added to |g| before the maximum is taken here, and to the maximum u in Keras: steps differ by up to a "
    "factor of 1 + epsilon / u, with the trial's epsilon = {:g}"
)


def torch(h: Hparams, steps: int) -> Translation:
    return Translation("torch.optim.Adamax", adam.torch_arguments(h), INSIDE.format(h["epsilon"]))


def optax(h: Hparams, steps: int) -> Translation:
    return Translation("optax.adamax", adam.optax_arguments(h), INSIDE.format(h["epsilon"]))


ADAMAX = Optimizer(
    name="adamax",
    hyperparameters=adam.HYPERPARAMETERS,
    rule=Rule(("mean", "largest"), update, effective_lr),
    translations=Translations(keras="Adamax", torch=torch, optax=optax),
    colour="#882255",
)
