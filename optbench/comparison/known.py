"""Adds the known settings to confirmations, so that a comparison can tell what tuning gained over them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from optbench.comparison.comparable import family
from optbench.comparison.confirmation import Training, training_of
from optbench.comparison.library import tested
from optbench.definition.known import DEFAULTS, PAPER
from optbench.definition.sweep import FixedTrial, Sweep
from optbench.optimizers import OPTIMIZERS
from optbench.storage import Storage, StudyRecord, trials_of

SEEDS = 10
"""On how many seeds they are trained at most: enough to show a gain that is as large as the scatter of the seeds."""


def with_known(sweep: Sweep, elsewhere: Collection[Training] = ()) -> Sweep:
    """The confirmation with Keras' defaults and the paper's setting of its optimizer on the first of its seeds.

    A setting that is confirmed anyway is not trained twice, nor what other studies train (`elsewhere`).
    """
    optimizer = OPTIMIZERS[sweep.fixed[0].optimizer]
    settings = {DEFAULTS: optimizer.resolve({})}
    if optimizer.paper is not None:
        settings[PAPER] = optimizer.resolve(optimizer.paper)
    seeds = list(dict.fromkeys(trial.seed for trial in sweep.fixed))[:SEEDS]
    confirmed = [optimizer.complete(trial.params) for trial in sweep.fixed]
    known = [
        FixedTrial(optimizer=optimizer.name, params=params, seed=seed, label=label)
        for label, params in settings.items()
        if not any(_same(optimizer.complete(params), other) for other in confirmed)
        for seed in seeds
    ]
    more = [trial for trial in known if training_of(trial) not in elsewhere]
    return replace(sweep, fixed=(*sweep.fixed, *more), trials=len(sweep.fixed) + len(more))


def trained_elsewhere(
    storage: Storage, search: StudyRecord, epochs: int, every: Sequence[StudyRecord]
) -> set[Training]:
    """What other studies trained for so many epochs on the data of the search, and scored on the test set."""
    alike = [
        study
        for study in every
        if study.sweep is not None and study.sweep.epochs == epochs and tested(study) and not study.confirms(search)
    ]
    ended = trials_of(storage, [study.study_id for study in alike if family(study) == family(search)])
    return {training_of(trial) for own in ended.values() for trial in own if trial.value is not None}


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether both are one setting, apart from rounding."""
    return all(math.isclose(value, other[name]) for name, value in one.items())
