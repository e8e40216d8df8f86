"""How much each hyperparameter of a search matters, by Optuna's evaluators."""

import optuna
from optuna.trial import TrialState

from optbench.storage.engine import Storage, one_line

LEAST = 10  # trials; with fewer an importance says nothing


def importances(storage: Storage, name: str) -> dict[str, dict[str, float]]:
    """The share of each hyperparameter by evaluator, from optbench's complete trials; empty where there are too few.

    S20: PED-ANOVA (Watanabe et al. 2023) and fANOVA (Hutter et al. 2014), seeded.
    """
    evaluators = {
        "PED-ANOVA": optuna.importance.PedAnovaImportanceEvaluator(),
        "fANOVA": optuna.importance.FanovaImportanceEvaluator(seed=0),
    }
    with one_line(storage.url):
        found = optuna.load_study(study_name=name, storage=storage.optuna).get_trials(states=[TrialState.COMPLETE])
    complete = [trial for trial in found if "slot" in trial.user_attrs]
    if len(complete) < LEAST:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials(complete)
    varied = [key for key in complete[0].params if len({trial.params.get(key) for trial in complete}) > 1]
    return {
        label: optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
        for label, evaluator in evaluators.items()
    }
