"""Makes the pruner of a sweep: Optuna's, or one of ours.

Our median pruner decides like Optuna's, but reads no trial twice. Optuna's reads every trial of the study again at
every epoch. In a study of 10,000 trials that costs more than everything else except training.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import optuna

from optbench.definition.sweep import Hyperband, Median, Pruner, SuccessiveHalving
from optbench.scheduler.attributes import TrialSystemAttribute


def make_pruner(pruner: Pruner, epochs: int) -> "optuna.pruners.BasePruner | MedianPruner | HalvingPruner":
    """The pruner for trials of `epochs` epochs."""
    arguments: dict[str, Any] = {key: value for key, value in asdict(pruner).items() if key not in ("audit", "window")}
    if isinstance(pruner, Median):
        arguments["n_warmup_steps"] += 1  # Optuna may prune at this step already, and our steps are epochs from 1
        return MedianPruner(**arguments)
    if isinstance(pruner, Hyperband):
        return optuna.pruners.HyperbandPruner(max_resource=epochs, **arguments)
    if isinstance(pruner, SuccessiveHalving) and pruner.window:
        first = pruner.min_resource * pruner.reduction_factor**pruner.min_early_stopping_rate
        return HalvingPruner(rungs(first, pruner.reduction_factor, epochs), pruner.reduction_factor, pruner.window)
    if isinstance(pruner, SuccessiveHalving):
        return optuna.pruners.SuccessiveHalvingPruner(**arguments)
    return optuna.pruners.NopPruner()


class MedianPruner:
    """Prunes a trial whose best value so far is below the median of the complete trials at the same step.

    The arguments are Optuna's. Nothing is pruned before `n_startup_trials` trials are complete, before step
    `n_warmup_steps`, or at a step for which fewer than `n_min_trials` complete trials have a value. In every
    `interval_steps` steps, a trial may be pruned only at its first value.
    """

    def __init__(self, n_startup_trials: int, n_warmup_steps: int, interval_steps: int, n_min_trials: int) -> None:
        self.n_startup_trials, self.n_warmup_steps = n_startup_trials, n_warmup_steps
        self.interval_steps, self.n_min_trials = interval_steps, n_min_trials
        self.complete = 0
        self.values: defaultdict[int, list[float]] = defaultdict(list)

    def learn(self, trial: Any) -> None:
        """Add the values of a complete trial. Call it once for each trial."""
        self.complete += 1
        for step, value in trial.intermediate_values.items():
            insort(self.values[step], value)

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether to prune a running trial. Optuna passes every pruner a `study`; this one does not need it."""
        curve = trial.intermediate_values
        if self.complete < max(1, self.n_startup_trials) or not curve:
            return False
        step, values = max(curve), self.values[max(curve)]
        if step < self.n_warmup_steps or len(values) < self.n_min_trials:
            return False
        since = (step - self.n_warmup_steps) // self.interval_steps * self.interval_steps + self.n_warmup_steps
        if any(since <= other < step for other in curve):
            return False
        middle = values[(len(values) - 1) // 2], values[len(values) // 2]
        return bool(max(curve.values()) < np.percentile(middle, 50))


def rungs(first: int, factor: int, epochs: int) -> list[int]:
    """The epochs after which a trial may be pruned: `first`, then `factor` times as many, up to half of `epochs`."""
    found = [first]
    while found[-1] * factor <= epochs / 2:
        found.append(found[-1] * factor)
    return found


class HalvingPruner:
    """Prunes a trial that is not among the best 1/`factor` of the last `window` trials that came as far.

    It decides after the epochs `rungs` (Li et al. 2020, without pausing trials). Optuna's compares with all earlier
    trials. As a sampler improves, most new trials are among the best of all, and few are pruned. The window follows the
    sampler. The learning curves are the pruner's only memory: every worker has them, and so does a later run.

    An audited trial counts no further than where it would have been pruned, so that an audit changes no decision.
    """

    def __init__(self, rungs: Sequence[int], factor: int, window: int) -> None:
        self.rungs, self.factor, self.window = frozenset(rungs), factor, window

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether to prune a running trial."""
        step = trial.last_step
        if step not in self.rungs:
            return False
        value = trial.intermediate_values[step]
        others = (
            t for t in reversed(study.get_trials(deepcopy=False)) if t.number != trial.number and _counts(t, step)
        )
        values = [value, *(t.intermediate_values[step] for t in islice(others, self.window - 1))]
        kept = max(1, len(values) // self.factor)
        return bool(value < sorted(values, reverse=True)[kept - 1])


def _counts(trial: Any, step: int) -> bool:
    """Whether a trial of this study came as far as this step without having been audited before."""
    audited, past = (trial.system_attrs.get(key) for key in (TrialSystemAttribute.AUDIT, TrialSystemAttribute.PAST))
    return step in trial.intermediate_values and (audited is None or step <= audited) and not past
