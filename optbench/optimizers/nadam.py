"""Nadam (Dozat 2016) with the warming momentum of its appendix: beta_1 (1 - 0.96^t / 2) at step t."""

import numpy as np

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

# The products of the factors 1 - 0.96^t / 2 for t = 1 to 2000 (entry 0: none of them); the later factors are 1.
WARMTH = (np.cumprod(1 - 0.5 * 0.96 ** np.arange(2001)) / 0.5).tolist()


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    # Keras' Nadam subtracts beta_1 and beta_2 from 1 in single precision, unlike its Adam.
    beta_1, beta_2 = hparams["beta_1"], hparams["beta_2"]
    now, then = (beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
    product = beta_1**step * ops.lookup(WARMTH, ops.minimum(step, 2000.0))
    mean = state["mean"] + (gradient - state["mean"]) * (1 - beta_1)
    squares = state["squares"] + (gradient**2 - state["squares"]) * (1 - beta_2)
    ahead = then * mean / (1 - product * then) + (1 - now) * gradient / (1 - product)
    delta = hparams["learning_rate"] * ahead / (ops.sqrt(squares / (1 - beta_2**step)) + hparams["epsilon"])
    return delta, {"mean": mean, "squares": squares}


WARM = (
    "the momentum warms up in Keras, beta_1 * (1 - 0.96^t / 2) at step t, and not here: it is 1.92 times as large at "
    "step 1, 1.07 times at step 50 and the same from about step 150 on"
)


def torch(h: Hparams, steps: int) -> Translation:
    arguments = adam.torch_arguments(h) | {"momentum_decay": 1.0}
    if decay := h.get("weight_decay"):
        arguments |= {"weight_decay": decay, "decoupled_weight_decay": True}
    return Translation("torch.optim.NAdam", arguments)


def optax(h: Hparams, steps: int) -> Translation:
    return Translation("optax.nadam", adam.optax_arguments(h), WARM)


NADAM = Optimizer(
    name="nadam",
    hyperparameters=adam.HYPERPARAMETERS,
    rule=Rule(("mean", "squares"), update, adam.effective_lr),
    translations=Translations(keras="Nadam", torch=torch, optax=optax),
    colour="#CC79A7",
)
