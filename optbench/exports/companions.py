"""What PyTorch and optax have for the knobs of a trial, and where that goes beside the optimizer."""

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


def torch_companions(_: Translation, hparams: Hparams, steps: int) -> list[Companion]:
    """Clipping, a learning-rate scheduler and the loss for a training of so many steps, where the trial has them."""
    found = []
    if norm := hparams.get(GLOBAL_CLIPNORM):
        clip = Translation("torch.nn.utils.clip_grad_norm_", {"max_norm": norm})
        use = "on all parameters, before each optimizer.step()"
        found.append(Companion(knob=GLOBAL_CLIPNORM, translation=clip, use=use))
    if changes_rate(hparams):
        use = "on the optimizer; call its step() after each optimizer.step()"
        found.append(Companion(knob=SCHEDULE, translation=_torch_scheduler(hparams, steps), use=use))
    if smoothing := hparams.get(LABEL_SMOOTHING):
        loss = Translation("torch.nn.CrossEntropyLoss", {"label_smoothing": smoothing})
        found.append(Companion(knob=LABEL_SMOOTHING, translation=loss, use="as the loss"))
    return found


def optax_companions(optimizer: Translation, hparams: Hparams, steps: int) -> list[Companion]:
    """Clipping, decoupled weight decay and smoothed labels, where the trial has them.

    `optimizer` is what optax has for the trial's own: some of these decay the weights already.
    """
    found = []
    if norm := hparams.get(GLOBAL_CLIPNORM):
        clip = Translation("optax.clip_by_global_norm", {"max_norm": norm})
        found.append(Companion(knob=GLOBAL_CLIPNORM, translation=clip, use="before the optimizer in optax.chain"))
    if (decay := hparams.get(WEIGHT_DECAY)) and WEIGHT_DECAY not in optimizer.arguments:
        lost = -decay * hparams["learning_rate"]  # of each weight; what the optimizer returns is subtracted already
        amount = optax_schedule(hparams, steps, lost) if changes_rate(hparams) else lost
        decays = Translation("optax.add_decayed_weights", {"weight_decay": amount})
        found.append(Companion(knob=WEIGHT_DECAY, translation=decays, use="after the optimizer in optax.chain"))
    if smoothing := hparams.get(LABEL_SMOOTHING):
        labels = Translation("optax.smooth_labels", {"alpha": smoothing})
        use = "on the one-hot labels of optax.softmax_cross_entropy"
        found.append(Companion(knob=LABEL_SMOOTHING, translation=labels, use=use))
    return found


def keras_loss(smoothing: float) -> Translation:
    """Keras' loss for logits and one-hot labels with that label smoothing."""
    return Translation("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": smoothing})


def optax_schedule(hparams: Hparams, steps: int, start: float) -> Translation:
    """The trial's schedule as optax has it, scaled so that it falls from `start` after the warmup."""
    rise = warmup_steps(hparams, steps)
    fall = _optax_fall(hparams, max(steps - rise, 1), start)
    if not rise:
        assert fall is not None, "a schedule without a warmup falls"
        return fall
    warmup = _optax_line(0.0, start, rise)  # it stays at its end
    if fall is None:
        return warmup
    return Translation("optax.join_schedules", {"schedules": [warmup, fall], "boundaries": [rise]})


def _optax_fall(hparams: Hparams, steps: int, start: float) -> Translation | None:
    """How the rate falls from `start` in so many steps; None if it is constant."""
    final = hparams.get(FINAL, 0.0)
    match _schedule(hparams):
        case "cosine":
            arguments = {"init_value": start, "decay_steps": steps, "alpha": final}
            return Translation("optax.cosine_decay_schedule", arguments)
        case "linear":
            return _optax_line(start, final * start, steps)
        case "exponential":
            arguments = {"init_value": start, "transition_steps": steps, "decay_rate": final}
            return Translation("optax.exponential_decay", arguments)
    return None


def _optax_line(start: float, end: float, steps: int) -> Translation:
    arguments = {"init_value": start, "end_value": end, "transition_steps": steps}
    return Translation("optax.linear_schedule", arguments)


def _torch_scheduler(hparams: Hparams, steps: int) -> Translation:
    rise = warmup_steps(hparams, steps)
    fall = _torch_fall(hparams, max(steps - rise, 1))
    if not rise:
        assert fall is not None, "a schedule without a warmup falls"
        return fall
    warmup = _torch("LinearLR", {"start_factor": TORCH_START, "end_factor": 1.0, "total_iters": rise})
    return warmup if fall is None else _torch("SequentialLR", {"schedulers": [warmup, fall], "milestones": [rise]})


def _torch_fall(hparams: Hparams, steps: int) -> Translation | None:
    """How the rate falls in so many steps; None if it is constant."""
    final = hparams.get(FINAL, 0.0)
    match _schedule(hparams):
        case "cosine":
            return _torch("CosineAnnealingLR", {"T_max": steps, "eta_min": final * hparams["learning_rate"]})
        case "linear":
            return _torch("LinearLR", {"start_factor": 1.0, "end_factor": final, "total_iters": steps})
        case "exponential":
            return _torch("ExponentialLR", {"gamma": final ** (1 / steps)})
    return None


def _torch(name: str, arguments: Arguments) -> Translation:
    return Translation(f"torch.optim.lr_scheduler.{name}", arguments)


def _schedule(hparams: Hparams) -> str:
    """The name of the trial's schedule."""
    return SCHEDULES[int(hparams.get(SCHEDULE, 0))]
