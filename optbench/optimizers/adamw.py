"""AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, multiplied by the learning rate as in Keras."""

from dataclasses import replace

from optbench.optimizers import adam
from optbench.optimizers.contract import (
    Hparams,
    Hyperparameter,
    Ops,
    Optimizer,
    State,
    Tensor,
    Tensors,
    Translation,
    Translations,
)


def update(
    ops: Ops, weight: Tensor, gradient: Tensor, state: State, hparams: Tensors, step: Tensor
) -> tuple[Tensor, State]:
    delta, state = adam.update(ops, weight, gradient, state, hparams, step)
    return hparams["learning_rate"] * hparams["weight_decay"] * weight + delta, state


def torch(h: Hparams, steps: int) -> Translation:
    arguments = adam.torch_arguments(h) | {"weight_decay": h["weight_decay"]}
    return Translation("torch.optim.AdamW", arguments, adam.epsilon_hat(h, steps))


def optax(h: Hparams, steps: int) -> Translation | None:
    if h["amsgrad"]:
        return None
    arguments = adam.optax_arguments(h) | {"weight_decay": h["weight_decay"]}
    return Translation("optax.adamw", arguments, adam.epsilon_hat(h, steps))


ADAMW = Optimizer(
    name="adamw",
    hyperparameters=adam.HYPERPARAMETERS | {"weight_decay": Hyperparameter(0.004, closed=True)} | adam.AMSGRAD,
    rule=replace(adam.ADAM.rule, update=update),
    translations=Translations(keras="AdamW", torch=torch, optax=optax),
    colour="#56B4E9",
)
