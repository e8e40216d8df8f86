"""Checks the options of commands and of the Python API: counts, the trainer, and the time limit."""

from collections.abc import Mapping
from typing import Any

from optbench.choices import TrainerName
from optbench.cores import cores
from optbench.errors import DefinitionError, nearest

BOUNDS: Mapping[str, tuple[int, int]] = {
    "epochs": (1, 1_000_000),
    "heartbeat_timeout": (2, 86_400),
    "lanes": (1, 256),
    "cores": (1, 4096),
    "lines": (1, 10_000),
    "max_seeds": (2, 200),
    "max_workers": (1, 10_000),
    "priority": (-1000, 1000),
    "repeat": (1, 1000),
    "retries": (0, 1000),
    "seeds": (1, 200),
    "top": (1, 100),
    "workers": (1, 64),
}
"""The smallest and the largest value of each count."""
LONGEST_LABEL = 100  # characters that the database holds


def check_counts(flags: bool, **given: int | None) -> None:
    """Raise DefinitionError for a count outside its bounds; `flags` if it came from the command line."""
    for option, number in given.items():
        low, high = BOUNDS[option]
        if number is not None and (type(number) is not int or not low <= number <= high):
            raise DefinitionError(f"{_shown(option, number, flags)}; expected a whole number from {low} to {high}")


def is_label(text: str) -> bool:
    """Whether studies and workers can have this label."""
    return len(text) <= LONGEST_LABEL and text.isprintable() and bool(text.strip())


def check_training(flags: bool, trainer: str, lanes: int | None, timeout: float | None) -> None:
    """Raise DefinitionError for an unknown trainer, lanes that it does not have, or a time limit of 0 or less.

    Also for a number of cores in the environment that is none.
    """
    cores()  # refuses a wrong OPTBENCH_CORES
    if trainer not in list(TrainerName):
        raise DefinitionError(f"{_shown('trainer', trainer, flags)}: no such trainer; {nearest(trainer, TrainerName)}")
    if trainer == TrainerName.REFERENCE and lanes not in (None, 1):
        raise DefinitionError(
            f"{_shown('lanes', lanes, flags)}: the reference trainer trains one trial at a time; "
            f"leave {'--lanes' if flags else 'lanes'} out"
        )
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        given = f"{timeout:g}" if isinstance(timeout, int | float) else timeout
        raise DefinitionError(f"{_shown('timeout', given, flags)}; expected seconds above 0")


def check_rounds(
    flags: bool, studies: int, until_decided: bool, seeds: int, max_seeds: int | None, equal: float | None
) -> None:
    """Raise DefinitionError for rounds of seeds that make no sense, and for options of rounds without rounds."""
    if not studies:
        raise DefinitionError("no study to confirm; expected one or more, for example confirm('adam')")
    check_counts(flags, seeds=seeds, max_seeds=max_seeds)
    option = "--until-decided" if flags else "until_decided"
    if until_decided and studies < 2:
        raise DefinitionError(f"{option} compares searches; name two or more")
    given = [(name, value) for name, value in (("max_seeds", max_seeds), ("equal", equal)) if value is not None]
    if not until_decided and given:
        raise DefinitionError(f"{_shown(*given[0], flags)} is for {option}; add it, or leave this out")
    if equal is not None and not 0 < equal < 100:
        raise DefinitionError(f"{_shown('equal', f'{equal:g}', flags)}; expected percentage points between 0 and 100")
    if max_seeds is not None and max_seeds < seeds:
        raise DefinitionError(
            f"{_shown('max_seeds', max_seeds, flags)}; expected {seeds} or more, the seeds of the first round"
        )


def _shown(option: str, value: Any, flags: bool) -> str:
    """The option with its value, as it was typed on the command line or in Python."""
    return f"--{option.replace('_', '-')} {value}" if flags else f"{option} = {value}"
