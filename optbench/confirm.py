"""What confirms a search: its best configurations by validation, on fresh seeds that all arms share, as a sweep."""

from collections.abc import Mapping, Sequence
from typing import Any

from optbench.definition import parse
from optbench.errors import StudyError
from optbench.optimizers import OPTIMIZERS
from optbench.randomness import Purpose, seed
from optbench.storage import StudyRecord, TrialRecord, best_trials, distinct, lacks_best
from optbench.sweep import Sweep


def confirmation(study: StudyRecord, records: Sequence[TrialRecord], top: int, seeds: int, epochs: int | None) -> Sweep:
    """The sweep that trains the `top` best configurations, all different, on all images, each on the same fresh seeds.

    Nothing is selected in it: each trial is scored on the test images once, after its last epoch. The seeds depend on
    nothing, so those of every study are the same: the same initial weights, the same batch order. Raises StudyError.
    """
    if study.definition is None or not study.searches:
        raise StudyError(f"study {study.name!r} selects nothing; expected a search to confirm, as adadelta")
    best = distinct(best_trials(records))[:top]
    if not best:
        raise lacks_best(study)
    fresh = [seed(Purpose.CONFIRM, index) for index in range(seeds)]
    definition: Mapping[str, Any] = study.definition
    table = {key: definition[key] for key in ("batch", "seed", "model")}
    table |= {
        "name": f"{study.name[:280]}/confirm",
        "epochs": definition["epochs"] if epochs is None else epochs,
        "data": {"name": definition["data"]["name"], "validation": 0},
        "trial": [
            {
                "label": label_of(trial.number),
                "optimizer": trial.optimizer,
                **OPTIMIZERS[trial.optimizer].keras_arguments(trial.hyperparameters),
                "seeds": fresh,
            }
            for trial in best
        ],
    }
    return parse(table, f"the confirmation of {study.name!r}")


def _plain(sweep: Sweep) -> dict[str, Any]:
    """The definition but for its lanes, which change nothing."""
    return {key: value for key, value in sweep.definition().items() if key != "lanes"}


def label_of(number: int) -> str:
    """The label of a configuration: the number of its trial in the search."""
    return f"trial {number}"


def place(sweep: Sweep, every: Sequence[StudyRecord]) -> str:
    """The name of the study in which the sweep is run: that of an earlier start, or the next one that is free."""
    names = {study.name: study for study in every}
    for name in (sweep.name, *(f"{sweep.name}-{index}" for index in range(2, 10_000))):
        held = names.get(name)
        if held is None or (held.definition and _plain(parse(held.definition, name)) == _plain(sweep)):
            return name
    raise StudyError(f"{sweep.name!r} and 9,998 more names are taken")
