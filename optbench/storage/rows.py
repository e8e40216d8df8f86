"""Makes rows of Optuna's tables and of ours from our records."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json

from optbench.scheduler.attributes import TrialAttribute
from optbench.scheduler.contract import TRIAL_STATES
from optbench.scheduler.states import STOPPED, Decision, Ending
from optbench.storage.optuna_private import models
from optbench.storage.schema import epochs
from optbench.training.contract import Epoch

LOST = "worker "  # the reason of a trial whose worker died or left begins with this


def interrupted(reason: str | None) -> bool:
    """Whether a trial with this reason was ended by Ctrl-C, SIGTERM or its worker's death, and not by a crash."""
    return reason is not None and (reason == STOPPED or reason.startswith(LOST))


def attributes(
    values: Mapping[str, Any], trial_id: int | None = None, kind: Any = models.TrialUserAttributeModel
) -> list[Any]:
    """Rows for attributes of a trial."""
    return [kind(trial_id=trial_id, key=str(key), value_json=json.dumps(value)) for key, value in values.items()]


def attribute(trial: Any, key: str) -> Any:
    """One of a trial's user attributes, or None."""
    return next((json.loads(row.value_json) for row in trial.user_attributes if row.key == key), None)


def parameters(trial_id: int, params: Mapping[str, float], distributions: Mapping[str, BaseDistribution]) -> list[Any]:
    """Rows for parameters of a trial, each with the distribution that it was drawn from."""
    return [
        models.TrialParamModel(
            trial_id=trial_id,
            param_name=name,
            param_value=distributions[name].to_internal_repr(value),
            distribution_json=distribution_to_json(distributions[name]),
        )
        for name, value in params.items()
    ]


def epoch_row(trial_id: int, epoch: Epoch, study_token: str | None, trial_number: int) -> dict[str, Any]:
    """The row of our table for an epoch; a number that is not finite becomes null."""
    values = {
        key: value if math.isfinite(value or 0.0) else None for key, value in vars(epoch).items() if key in epochs.c
    }
    return {"trial_id": trial_id, "study_token": study_token, "trial_number": trial_number, **values}


def curve_point(trial_id: int, epoch: Epoch) -> dict[str, Any]:
    """The row of Optuna's table for an epoch: a point of the learning curve."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(epoch.objective)
    point = {"trial_id": trial_id, "step": epoch.epoch}
    return point | {"intermediate_value": stored, "intermediate_value_type": kind}


def end(trial: Any, ending: Ending) -> None:
    """Write the ending to a running trial's row."""
    trial.state = TRIAL_STATES[ending.decision]
    trial.datetime_complete = datetime.now()
    held: dict[str, Any] = {
        TrialAttribute.EPOCHS: ending.epochs,
        TrialAttribute.DIVERGED: ending.decision is Decision.DIVERGED,
    }
    if ending.reason is not None:
        held[TrialAttribute.REASON] = ending.reason
    trial.user_attributes.extend(attributes(held, trial.trial_id))
    if ending.value is not None:
        value, kind = models.TrialValueModel.value_to_stored_repr(ending.value)
        trial.values.append(models.TrialValueModel(objective=0, value=value, value_type=kind))
