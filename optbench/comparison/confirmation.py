"""Makes confirmations: the best configurations of a search, trained again on fresh seeds that all searches share."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from optbench.definition.known import DEFAULTS, PAPER
from optbench.definition.network import MlpModel
from optbench.definition.sweep import FixedTrial, NoPruner, Sweep, Tpe
from optbench.errors import StudyError
from optbench.optimizers import OPTIMIZERS
from optbench.randomness import Purpose, seed
from optbench.storage import StudyRecord, TrialRecord, best_first, derived_name, distinct, lacks_best
from optbench.worker.bounds import BOUNDS
from optbench.worker.creation import free_name

MAX_SEEDS = BOUNDS["seeds"][1]
Training = tuple[str, tuple[tuple[str, float], ...], int | None]
"""An optimizer, all of its hyperparameters by name, and a seed."""


def confirmation(study: StudyRecord, records: Sequence[TrialRecord], top: int, seeds: int, epochs: int | None) -> Sweep:
    """The sweep that trains the `top` best different configurations on all training examples, each on the same seeds.

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
    fixed = tuple(_fixed(trial, number) for trial in best for number in fresh_seeds()[:seeds])
    return replace(
        sweep,
        name=derived_name(study.name, "confirm"),
        trials=len(fixed),
        epochs=sweep.epochs if epochs is None else epochs,
        data=replace(sweep.data, validation=0, resplit=False),
        sampler=Tpe(),
        pruner=NoPruner(),
        optimizer=None,
        space={},
        fixed=fixed,
        lanes=None,
        known=False,
        start=None,
        finals=None,
    )


def _fixed(trial: TrialRecord, fresh: int) -> FixedTrial:
    return FixedTrial(
        optimizer=trial.optimizer,
        params=dict(trial.hyperparameters),
        seed=fresh,
        label=label_of(trial.number),
        source_trial=trial.number,
    )


def notes(found: "Plan", top: int, seeds: int) -> Iterator[str]:
    """A sentence for each way in which a confirmation does less than was asked for, or than a comparison needs."""
    name, number = found.search.name, found.configurations
    if number < top:
        yield f"{name}: it has {number} different configurations, fewer than the {top} asked for; all are confirmed"
    if seeds == 1:
        yield f"{name}: one seed says nothing about spread; a comparison takes at least 2 seeds, better 10"


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


@dataclass(frozen=True)
class Plan:
    """What to train for a confirmation of `search`: the `sweep`, as the study `name`.

    `extends` is that study, if there is one. `wanted` is the number of trials that were asked for, of so many
    `configurations` of the search and of its known settings. `held` is how many of them its list has already. The list
    may also have others, of further seeds and configurations.
    """

    search: StudyRecord
    sweep: Sweep
    name: str
    wanted: int
    configurations: int
    held: int = 0
    extends: StudyRecord | None = None

    @property
    def known_seeds(self) -> int:
        """On how many seeds the study trains known settings; 0 if another study has them."""
        return len({trial.seed for trial in self.sweep.fixed if trial.label in (DEFAULTS, PAPER)})

    @property
    def lacks_trials(self) -> bool:
        """Whether a trial is still to be trained."""
        return self.extends is None or self.extends.finished < self.sweep.trials


def plan(sweep: Sweep, search: StudyRecord, every: Sequence[StudyRecord]) -> Plan:
    """The plan for this confirmation of the search: it extends a confirmation that trains alike, if there is one.

    The new trials follow those that the list has. Of several confirmations, the one that lacks the fewest trials is
    extended. A confirmation keeps its name when its search is renamed.
    """
    alike = [study for study in every if study.confirms(search) and study.sweep and _same(study.sweep, sweep)]
    wanted = {training_of(trial) for trial in sweep.fixed}
    best = max(alike, key=lambda study: (len(wanted & _keys(study)), -study.study_id), default=None)
    if best is None or best.sweep is None:
        name = free_name(sweep.name, {study.name for study in every})
        return Plan(
            search=search, sweep=sweep, name=name, wanted=len(sweep.fixed), configurations=_configurations(sweep)
        )
    known = _keys(best)
    fixed = (*best.sweep.fixed, *(trial for trial in sweep.fixed if training_of(trial) not in known))
    longer = replace(best.sweep, fixed=fixed, trials=len(fixed), lanes=None)
    return Plan(
        search=search,
        sweep=longer,
        name=best.name,
        wanted=len(sweep.fixed),
        configurations=_configurations(sweep),
        held=len(wanted & known),
        extends=best,
    )


def _configurations(sweep: Sweep) -> int:
    """How many configurations of the search a confirmation trains, apart from the known settings."""
    return len({trial.source_trial for trial in sweep.fixed if trial.source_trial is not None})


def in_order(seeds: Collection[int]) -> list[int]:
    """The seeds in the order in which confirmations take them; seeds that none takes come last."""
    order = {seed: index for index, seed in enumerate(fresh_seeds())}
    return sorted(seeds, key=lambda seed: (order.get(seed, MAX_SEEDS), seed))


@cache
def fresh_seeds() -> tuple[int, ...]:
    """The seeds of every confirmation, in their order."""
    return tuple(seed(Purpose.CONFIRM, index) for index in range(MAX_SEEDS))


def _same(held: Sweep, sweep: Sweep) -> bool:
    """Whether two sweeps train alike, apart from their lists, names and lanes, and from where a model's file is."""
    return _bare(held) == _bare(sweep) and held.model.identity() == sweep.model.identity()


def _bare(sweep: Sweep) -> Sweep:
    return replace(sweep, name="", fixed=(), trials=0, lanes=None, model=MlpModel())


def _keys(study: StudyRecord) -> set[Training]:
    return set() if study.sweep is None else {training_of(trial) for trial in study.sweep.fixed}


def training_of(trial: FixedTrial | TrialRecord) -> Training:
    """What two trials of confirmations share that train the same; those of schema 3 name no source trials."""
    known = OPTIMIZERS.get(trial.optimizer)
    given = trial.params if isinstance(trial, FixedTrial) else trial.hyperparameters
    params = known.complete(given) if known else given
    return trial.optimizer, tuple(sorted(params.items())), trial.seed
