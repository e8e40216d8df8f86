"""The known settings that a confirmation trains beside the best configurations, to tell what tuning gained."""

from collections.abc import Collection, Sequence

from optbench.comparison.arms import is_default, is_paper
from optbench.definition.known import DEFAULTS, PAPER
from optbench.definition.sweep import FixedTrial
from optbench.optimizers import OPTIMIZERS
from optbench.storage import TrialRecord

SEEDS = 10
"""On how many seeds they are trained at most: enough to show a gain that is as large as the scatter of the seeds."""


def known_settings(optimizer: str, best: Collection[TrialRecord], seeds: Sequence[int]) -> list[FixedTrial]:
    """Keras' defaults and the paper's setting on the first of the seeds, without those that are among the best."""
    own = OPTIMIZERS[optimizer]
    found = {} if any(map(is_default, best)) else {DEFAULTS: own.resolve({})}
    if own.paper is not None and not any(map(is_paper, best)):
        found[PAPER] = own.resolve(own.paper)
    return [
        FixedTrial(optimizer=optimizer, params=dict(params), seed=seed, label=label)
        for label, params in found.items()
        for seed in seeds[:SEEDS]
    ]
