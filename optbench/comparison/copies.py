"""Finds searches whose trials are those of another one, so that a comparison of the two would compare nothing."""

from collections.abc import Sequence

from optbench.comparison.arms import Arm
from optbench.errors import StudyError


def without_copies(arms: Sequence[Arm]) -> tuple[list[Arm], dict[str, str]]:
    """The arms that are no copies of earlier ones, and why each copy is left out, by its name."""
    first: dict[object, Arm] = {}
    copies = {}
    for arm in arms:
        original = first.setdefault(_trials(arm), arm)
        if original is not arm:
            copies[arm.name] = (
                f"its trials are those of {original.name}, because it is a copy or the same sweep with the same seed"
            )
    return [arm for arm in arms if arm.name not in copies], copies


def check_copies(arms: Sequence[Arm]) -> list[Arm]:
    """The arms. Raises StudyError if one is a copy of another."""
    for name, why in without_copies(arms)[1].items():
        raise StudyError(f"{name} cannot be compared: {why}; name different searches")
    return list(arms)


def _trials(arm: Arm) -> object:
    """What two independent searches do not have in common: settings, seeds, lengths and scores of all trials."""
    return tuple(
        (trial.number, trial.optimizer, *sorted(trial.hyperparameters.items()), trial.seed, trial.epochs, trial.value)
        for trial in arm.source.trials
    )
