"""What PyTorch and optax have for the knobs of a trial, and where that goes beside the optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass

from optbench.optimizers import Translation
from optbench.optimizers.contract import Arguments, Hparams
from optbench.optimizers.knobs import (
    FINAL,
    GLOBAL_CLIPNORM,
    LABEL_SMOOTHING,
    SCHEDULE,
    SCHEDULES,
    WEIGHT_DECAY,
    changes_rate,
    warmup_steps,
)

TORCH_START = 1e-12  # PyTorch's LinearLR cannot start from 0


@dataclass(frozen=True)
class Companion:
    """A class or function that a trial needs beside its optimizer; `use` says in words where it goes."""

    knob: str
    translation: Translation
    use: str


def torch_companions(hparams: Hparams, steps: int) -> list[Companion]:
    """Clipping, a learning-rate scheduler and the loss for a training of so many steps, where the trial has them."""
    found = []
    if norm := hparams.get(GLOBAL_CLIPNORM):
        clip = Translation("torch.nn.utils.clip_grad_norm_", {"max_norm": norm})
        found.append(Companion(GLOBAL_CLIPNORM, clip, "on all parameters, before each optimizer.step()"))
    if changes_rate(hparams):
        use = "on the optimizer; call its step() after each optimizer.step()"
        found.append(Companion(SCHEDULE, _torch_scheduler(hparams, steps), use))
    if smoothing := hparams.get(LABEL_SMOOTHING):
        loss = Translation("torch.nn.CrossEntropyLoss", {"label_smoothing": smoothing})
        found.append(Companion(LABEL_SMOOTHING, loss, "as the loss"))
    return found


def optax_companions(hparams: Hparams, steps: int, decays: bool) -> list[Companion]:
    """Clipping, decoupled weight decay and smoothed labels, where the trial has them.

    `decays` says whether the optimizer's own function decays the weights already.
    """
    found = []
    if norm := hparams.get(GLOBAL_CLIPNORM):
        clip = Translation("optax.clip_by_global_norm", {"max_norm": norm})
        found.append(Companion(GLOBAL_CLIPNORM, clip, "before the optimizer in optax.chain"))
    if (decay := hparams.get(WEIGHT_DECAY)) and not decays:
        lost = -decay * hparams["learning_rate"]  # of each weight; what the optimizer returns is subtracted already
        amount = optax_schedule(hparams, steps, lost) if changes_rate(hparams) else lost
        use = "after the optimizer in optax.chain"
        found.append(Companion(WEIGHT_DECAY, Translation("optax.add_decayed_weights", {"weight_decay": amount}), use))
    if smoothing := hparams.get(LABEL_SMOOTHING):
        labels = Translation("optax.smooth_labels", {"alpha": smoothing})
        found.append(Companion(LABEL_SMOOTHING, labels, "on the one-hot labels of optax.softmax_cross_entropy"))
    return found


def keras_loss(smoothing: float) -> Translation:
    """Keras' loss for logits and one-hot labels with that label smoothing."""
    return Translation("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": smoothing})


def optax_schedule(hparams: Hparams, steps: int, start: float) -> Translation:
    """The trial's schedule as optax has it, scaled so that it falls from `start` after the warmup."""
    rise = warmup_steps(hparams, steps)
    left, final = max(steps - rise, 1), hparams.get(FINAL, 0.0)
    falls: Mapping[str, Translation | None] = {
        "constant": None,
        "cosine": Translation(
            "optax.cosine_decay_schedule", {"init_value": start, "decay_steps": left, "alpha": final}
        ),
        "linear": _optax_line(start, final * start, left),
        "exponential": Translation(
            "optax.exponential_decay", {"init_value": start, "transition_steps": left, "decay_rate": final}
        ),
    }
    fall = falls[SCHEDULES[int(hparams.get(SCHEDULE, 0))]]
    if not rise:
        assert fall is not None, "a schedule without a warmup falls"
        return fall
    warmup = _optax_line(0.0, start, rise)  # it stays at its end
    return (
        warmup
        if fall is None
        else Translation("optax.join_schedules", {"schedules": [warmup, fall], "boundaries": [rise]})
    )


def _optax_line(start: float, end: float, steps: int) -> Translation:
    arguments = {"init_value": start, "end_value": end, "transition_steps": steps}
    return Translation("optax.linear_schedule", arguments)


def _torch_scheduler(hparams: Hparams, steps: int) -> Translation:
    rise = warmup_steps(hparams, steps)
    left, final, rate = max(steps - rise, 1), hparams.get(FINAL, 0.0), hparams["learning_rate"]
    falls: Mapping[str, Translation | None] = {
        "constant": None,
        "cosine": _torch("CosineAnnealingLR", {"T_max": left, "eta_min": final * rate}),
        "linear": _torch("LinearLR", {"start_factor": 1.0, "end_factor": final, "total_iters": left}),
        "exponential": _torch("ExponentialLR", {"gamma": final ** (1 / left)}),
    }
    fall = falls[SCHEDULES[int(hparams.get(SCHEDULE, 0))]]
    if not rise:
        assert fall is not None, "a schedule without a warmup falls"
        return fall
    warmup = _torch("LinearLR", {"start_factor": TORCH_START, "end_factor": 1.0, "total_iters": rise})
    return warmup if fall is None else _torch("SequentialLR", {"schedulers": [warmup, fall], "milestones": [rise]})


def _torch(name: str, arguments: Arguments) -> Translation:
    return Translation(f"torch.optim.lr_scheduler.{name}", arguments)
