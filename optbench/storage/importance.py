"""How much each hyperparameter of a search matters, by Optuna's evaluators."""

import optuna

from optbench.storage.engine import Storage, one_line

LEAST = 10  # trials; with fewer an importance says nothing


def importances(storage: Storage, name: str) -> dict[str, dict[str, float]]:
    """The share of each hyperparameter by evaluator, from the complete trials; empty where there are too few.

    S20: PED-ANOVA (Watanabe et al. 2023) and fANOVA (Hutter et al. 2014), seeded.
    """
    evaluators = {
        "PED-ANOVA": optuna.importance.PedAnovaImportanceEvaluator(),
        "fANOVA": optuna.importance.FanovaImportanceEvaluator(seed=0),
    }
    with one_line(storage.url):
        study = optuna.load_study(study_name=name, storage=storage.optuna)
        complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
        if len(complete) < LEAST:
            return {}
        return {
            label: optuna.importance.get_param_importances(study, evaluator=evaluator)
            for label, evaluator in evaluators.items()
        }
