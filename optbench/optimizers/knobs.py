"""Hyperparameters that every optimizer has beside those of its rule. Unless a trial sets one, it changes nothing.

All are optional: 0, their default, means none. `weight_decay` is decoupled: before each step the weights lose
learning_rate * weight_decay of themselves, as in Keras. `global_clipnorm` is the largest Euclidean norm of the
gradients of all weights of a network together; longer ones are scaled down to it. `label_smoothing` takes that fraction
of each label and spreads it evenly over all classes.

`schedule` is how the learning rate falls over all steps of a trial, to the fraction `final` of itself. During the first
steps, `warmup` as a fraction of all, it rises linearly from 0 instead.

`dropout` is the fraction of the units of every hidden layer that a training step leaves out. Only dense layers have it.

`batch` is the batch size of one trial. A trial's row has it only if it is not the sweep's.
"""

from collections.abc import Mapping
from dataclasses import replace

from optbench.optimizers.contract import Hparams, Hyperparameter, Kind, Optimizer, Translation

WEIGHT_DECAY, GLOBAL_CLIPNORM, LABEL_SMOOTHING = "weight_decay", "global_clipnorm", "label_smoothing"
SCHEDULE, WARMUP, FINAL, BATCH, DROPOUT = "schedule", "warmup", "final", "batch", "dropout"
SCHEDULES = ("constant", "cosine", "linear", "exponential")
KNOBS: Mapping[str, Hyperparameter] = {
    WEIGHT_DECAY: Hyperparameter(0.0, closed=True, optional=True),
    GLOBAL_CLIPNORM: Hyperparameter(0.0, closed=True, optional=True),
    LABEL_SMOOTHING: Hyperparameter(0.0, closed=True, high=0.5, closed_high=True, optional=True, argument=False),
    DROPOUT: Hyperparameter(0.0, closed=True, high=0.9, closed_high=True, optional=True, argument=False),
    SCHEDULE: Hyperparameter(0.0, kind=Kind.NAME, names=SCHEDULES, optional=True, argument=False),
    WARMUP: Hyperparameter(0.0, closed=True, high=0.9, closed_high=True, optional=True, argument=False),
    BATCH: Hyperparameter(0.0, kind=Kind.COUNT, optional=True, argument=False),
    FINAL: Hyperparameter(0.0, closed=True, high=1.0, closed_high=True, optional=True, argument=False),
}


def with_knobs(optimizer: Optimizer) -> Optimizer:
    """The optimizer with every knob that its own rule does not have already, and that its rule can bear."""
    knobs = {name: knob for name, knob in KNOBS.items() if name != WARMUP or not optimizer.divides_by_rate}
    return replace(optimizer, hyperparameters={**knobs, **optimizer.hyperparameters})


def knobs_of(optimizer: Optimizer) -> frozenset[str]:
    """The names of the optimizer's knobs; one of its own rule is none."""
    return frozenset(name for name, knob in KNOBS.items() if optimizer.hyperparameters.get(name) is knob)


def in_effect(hparams: Hparams) -> dict[str, float]:
    """The hyperparameters without `final` where the learning rate is constant, so that it changes nothing."""
    return {name: value for name, value in hparams.items() if name != FINAL or hparams.get(SCHEDULE)}


def changes_rate(hparams: Hparams) -> bool:
    """Whether the learning rate changes with the steps of a trial."""
    return bool(hparams.get(SCHEDULE) or hparams.get(WARMUP))


def warmup_steps(hparams: Hparams, steps: int) -> int:
    """The number of steps in which the learning rate rises, in a trial of so many steps."""
    return round(hparams.get(WARMUP, 0.0) * steps)


def after_warmup(hparams: Hparams, steps: int) -> Translation:
    """The class in `keras.optimizers.schedules` for the steps after the warmup, with its arguments.

    A cosine that falls to 1 is a constant learning rate.
    """
    name, final = SCHEDULES[int(hparams.get(SCHEDULE, 0))], hparams.get(FINAL, 0.0)
    rate, left = hparams["learning_rate"], max(steps - warmup_steps(hparams, steps), 1)
    common = {"initial_learning_rate": rate, "decay_steps": left}
    match name:
        case "linear":
            return Translation("PolynomialDecay", common | {"end_learning_rate": rate * final})
        case "exponential":
            return Translation("ExponentialDecay", common | {"decay_rate": final})
        case _:
            return Translation("CosineDecay", common | {"alpha": 1.0 if name == "constant" else final})


def batch_of(hparams: Hparams, batch: int) -> int:
    """The batch size of a trial with these hyperparameters, in a sweep with that `batch`."""
    return int(hparams.get(BATCH, 0)) or batch


def dropout_of(hparams: Hparams, dropout: float) -> float:
    """The rate of a trial with these hyperparameters, on a model with that `dropout`."""
    return hparams.get(DROPOUT, 0.0) or dropout
