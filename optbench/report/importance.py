"""Importances: how much each hyperparameter of a search matters, by Optuna's evaluators."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from optbench.definition.space import Dimension, Float
from optbench.storage import TrialRecord

log = logging.getLogger("optbench.report")

MIN_TRIALS = 10  # with fewer complete trials an importance means nothing


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The importance of each hyperparameter by method, as fractions that sum to 1.

    If there are none, `reason` says why, in a clause without a full stop.
    """

    by_method: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reason: str = ""


def importances(trials: Sequence[TrialRecord], space: Mapping[str, Dimension]) -> Importances:
    """The importances of a search's hyperparameters, from its complete trials.

    PED-ANOVA (Watanabe et al. 2023) and fANOVA (Hutter et al. 2014), seeded.
    """
    complete = [trial for trial in trials if trial.value is not None and _inside(trial, space)]
    varied = [name for name in space if len({trial.params[name] for trial in complete}) > 1]
    if reason := _reason(complete, varied, space):
        return Importances(reason=reason)
    study = optuna.create_study(direction="maximize")
    study.add_trials([_optuna_trial(trial, space) for trial in complete])
    evaluators: dict[str, Callable[[], optuna.importance.BaseImportanceEvaluator]] = {
        "PED-ANOVA": optuna.importance.PedAnovaImportanceEvaluator,
        "fANOVA": lambda: optuna.importance.FanovaImportanceEvaluator(seed=0),
    }
    found = {}
    for method, evaluator in evaluators.items():
        try:
            fractions = optuna.importance.get_param_importances(study, evaluator=evaluator(), params=varied)
        except (RuntimeError, ValueError) as problem:  # for example "zero total variance", where no tree finds a split
            log.info("%s finds no importances in %d trials: %s", method, len(complete), problem)
            continue
        if len(set(fractions.values())) > 1:  # where a method finds nothing, Optuna gives all the same importance
            found[method] = fractions
    return Importances(by_method=found, reason="" if found else "no method tells the hyperparameters apart")


def _reason(complete: Sequence[TrialRecord], varied: Sequence[str], space: Mapping[str, Dimension]) -> str:
    """Why no importances can be computed; empty if they can."""
    if len(complete) < MIN_TRIALS:
        return f"{len(complete)} complete trials are too few; expected {MIN_TRIALS} or more"
    if not varied:
        return f"every trial has the same {' and '.join(space)}, so there is nothing to rank"
    if len(varied) == 1:
        return f"only {varied[0]} varies, so there is nothing to rank"
    if len({trial.value for trial in complete}) == 1:
        return f"all {len(complete)} complete trials reached the same accuracy, so no hyperparameter made a difference"
    return ""


def _inside(trial: TrialRecord, space: Mapping[str, Dimension]) -> bool:
    """Whether the trial lies in the space. Those of other programs may not."""
    return trial.params.keys() == space.keys() and all(trial.params[name] in space[name] for name in space)


def _optuna_trial(trial: TrialRecord, space: Mapping[str, Dimension]) -> optuna.trial.FrozenTrial:
    distributions = {name: _distribution(dimension) for name, dimension in space.items()}
    return optuna.trial.create_trial(value=trial.value, params=dict(trial.params), distributions=distributions)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Float):
        return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return CategoricalDistribution(dimension.values)
