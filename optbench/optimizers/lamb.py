"""LAMB (You et al. 2020): Adam, with the step of each weight tensor scaled to the tensor's norm.

Each norm is that of one weight tensor in one lane (see `Ops.norm`), so lanes never mix.
"""

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
    new = {
        "mean": state["mean"] + (gradient - state["mean"]) * hparams["one_minus_beta_1"],
        "squares": state["squares"] + (gradient**2 - state["squares"]) * hparams["one_minus_beta_2"],
    }
    mean = new["mean"] / (1 - hparams["beta_1"] ** step)
    return effective_lr(ops, weight, new, hparams, step) * mean, new


def effective_lr(ops: Ops, weight: Tensor, state: State, hparams: Tensors, step: Tensor) -> Tensor:
    mean = state["mean"] / (1 - hparams["beta_1"] ** step)
    root = ops.sqrt(state["squares"] / (1 - hparams["beta_2"] ** step)) + hparams["epsilon"]
    norms = ops.norm(weight), ops.norm(mean / root)
    usable = ops.minimum(*norms) > 0
    trust_ratio = ops.where(usable, norms[0] / ops.where(usable, norms[1], 1.0), 1.0)
    return trust_ratio * hparams["learning_rate"] / root


DECAY = (
    "the trust ratio takes the norm of the weights before their decay here, and after it in Keras, where it is smaller "
    "by the factor 1 - learning_rate * weight_decay"
)


def optax(h: Hparams, steps: int) -> Translation:
    return Translation("optax.lamb", adam.optax_arguments(h), DECAY if h.get("weight_decay") else None)


LAMB = Optimizer(
    name="lamb",
    hyperparameters=adam.HYPERPARAMETERS,
    rule=Rule(("mean", "squares"), update, effective_lr),
    translations=Translations(keras="Lamb", torch=None, optax=optax),
    colour="#44AA99",
)
