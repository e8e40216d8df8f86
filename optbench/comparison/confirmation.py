"""Makes confirmations: the best configurations of a search, trained again on fresh seeds that all searches share."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from optbench.definition.sweep import DataSource, FixedTrial, NoPruner, Sweep, Tpe
from optbench.errors import StudyError
from optbench.randomness import Purpose, seed
from optbench.storage import StudyRecord, TrialRecord, best_first, distinct, lacks_best
from optbench.worker.creation import free_name

MAX_NAME = 280  # how many characters of the search's name are kept, to leave room for the ending


def confirmation(study: StudyRecord, records: Sequence[TrialRecord], top: int, seeds: int, epochs: int | None) -> Sweep:
    """The sweep that trains the `top` best different configurations on all training images, each on the same seeds.

    Nothing is selected in it: each trial is evaluated once on the test set, after its last epoch. The fresh seeds are
    the same for every study, and with them the initial weights and the order of batches.
    Raises StudyError where the study is not a search, or has no complete trial.
    """
    sweep = study.sweep
    if sweep is None or not sweep.searches:
        raise StudyError(
            f"{study.name!r} is not a search, so there is nothing to confirm; `optbench studies` lists the searches"
        )
    best = distinct(best_first(study.finals, records))[:top]
    if not best:
        raise lacks_best(study)
    fresh = [seed(Purpose.CONFIRM, index) for index in range(seeds)]
    fixed = tuple(_fixed(trial, number) for trial in best for number in fresh)
    return replace(
        sweep,
        name=f"{study.name[:MAX_NAME]}/confirm",
        trials=len(fixed),
        epochs=sweep.epochs if epochs is None else epochs,
        data=DataSource(sweep.data.name, 0),
        sampler=Tpe(),
        pruner=NoPruner(),
        optimizer=None,
        space={},
        fixed=fixed,
        lanes=None,
    )


def _fixed(trial: TrialRecord, fresh: int) -> FixedTrial:
    return FixedTrial(
        optimizer=trial.optimizer,
        params=dict(trial.hyperparameters),
        seed=fresh,
        label=label_of(trial.number),
        source_trial=trial.number,
    )


def notes(sweep: Sweep, search: str, top: int, seeds: int) -> Iterator[str]:
    """A sentence for each way in which a confirmation does less than was asked for, or than a comparison needs."""
    found = len(sweep.fixed) // seeds
    if found < top:
        yield f"{search}: it has {found} different configurations, fewer than the {top} asked for; all are confirmed"
    if seeds == 1:
        yield f"{search}: one seed says nothing about spread; a comparison takes at least 2 seeds, better 10"


def label_of(number: int) -> str:
    """The label of a configuration: the number of its trial in the search."""
    return f"trial {number}"


def source_trial(trial: TrialRecord) -> int | None:
    """The number of the search's trial that this trial of a confirmation trains again; None for any other trial.

    Confirmations of schema 3 have the number in their labels only.
    """
    if trial.source_trial is not None:
        return trial.source_trial
    found = re.fullmatch(r"trial (\d+)", trial.label or "")
    return int(found[1]) if found else None


def place(sweep: Sweep, search: StudyRecord, every: Sequence[StudyRecord]) -> str:
    """The name of the study for this confirmation of the search: one of the same sweep if there is one, or a free name.

    A confirmation keeps its name when its search is renamed.
    """
    for study in every:
        if study.confirms(search) and study.sweep is not None and _same(study.sweep, sweep):
            return study.name
    return free_name(sweep.name, {study.name for study in every})


def _same(held: Sweep, sweep: Sweep) -> bool:
    """Whether two sweeps train the same. Names and lanes do not matter, and those of schema 3 name no source trials."""
    return _bare(held) == _bare(sweep)


def _bare(sweep: Sweep) -> dict[str, Any]:
    fixed = tuple(replace(trial, source_trial=None) for trial in sweep.fixed)
    return replace(sweep, name="", fixed=fixed, lanes=None).definition()
