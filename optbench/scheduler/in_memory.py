"""A copy of a study's trials in memory, which samplers and pruners read much faster than the database."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optbench.definition.space import Choice, Dimension
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import RUNG, TrialSystemAttribute
from optbench.scheduler.contract import TRIAL_STATES, PastTrial
from optbench.scheduler.pruner import MedianPruner, make_pruner
from optbench.scheduler.sampler import make_sampler
from optbench.scheduler.states import Ending


class InMemoryStudy:
    """Every trial of the study, under its number in the database. Numbers missing there are failed trials here.

    Trials of another study that the sampler knows, `past`, come before all of them. Hyperband computes a trial's
    bracket from the study's `name` and the trial's number.
    """

    def __init__(self, sweep: Sweep, name: str, past: Sequence[PastTrial] = ()) -> None:
        self.sweep, self.sampled = sweep, False
        self.memory = optuna.storages.InMemoryStorage()
        self.pruner = make_pruner(sweep.pruner, sweep.epochs)
        self.study = optuna.create_study(
            storage=self.memory,
            study_name=name,
            direction="maximize",
            pruner=self.pruner,  # type: ignore[arg-type]  # ours is no subclass of Optuna's
        )
        self.study_id = self.memory.get_study_id_from_name(name)
        self.ids: list[int] = []  # by number
        self.marked: set[tuple[int, str]] = set()
        self.past = len(past)
        for trial in past:
            self.memory.create_new_trial(self.study_id, _past(trial, sweep))

    def start(self, number: int, params: Mapping[str, float] | None) -> optuna.trial.Trial:
        """A trial that this worker runs, with these parameters, or with the sampler's if they are None."""
        if not self.sampled:
            self.study.sampler, self.sampled = make_sampler(self.sweep, number), True
        if number >= len(self.ids):
            self._add(number, optuna.trial.create_trial(state=TrialState.RUNNING))
        if params is not None:
            self.memory.set_trial_system_attr(self.ids[number], TrialSystemAttribute.FIXED_PARAMS.value, params)
        trial = optuna.trial.Trial(self.study, self.ids[number])
        if self.sweep.searches:
            for name, dimension in self.sweep.space.items():
                if isinstance(dimension, Choice):
                    trial.suggest_categorical(name, dimension.values)
                else:
                    trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
        else:
            for name, value in (params or {}).items():
                trial.suggest_float(name, value, value)
        return trial

    def end(self, trial: optuna.trial.Trial, ending: Ending) -> None:
        """Note how a trial of this worker ended."""
        state = TRIAL_STATES[ending.decision]
        self.study.tell(trial, ending.value if state == TrialState.COMPLETE else None, state)
        self._learn(self._id_of(trial))

    def follow(self, trial: FrozenTrial, own: bool) -> None:
        """Copy a trial from the database. A trial of this worker (`own`) is more recent here, and stays as it is."""
        if trial.number >= len(self.ids):
            self._add(trial.number, _failed(trial) if trial.state == TrialState.WAITING else trial)
        elif not own and not self.memory.get_trial(self.ids[trial.number]).state.is_finished():
            _catch_up(self.memory, self.ids[trial.number], trial)
            self._learn(self.ids[trial.number])

    def mark(self, trial: optuna.trial.Trial, key: str, value: Any) -> None:
        """Give a trial of this worker a system attribute, unless it has it already."""
        own_id = self._id_of(trial)
        if key not in self.memory.get_trial(own_id).system_attrs:
            self.memory.set_trial_system_attr(own_id, key, value)

    def new_marks(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        """The system attributes that a trial got since the last call: the audit's, and the rungs that pruners noted."""
        held, number = self.memory.get_trial(self._id_of(trial)).system_attrs, trial.number
        kept = (RUNG, TrialSystemAttribute.AUDIT.value)
        new = {key: value for key, value in held.items() if key.startswith(kept) and (number, key) not in self.marked}
        self.marked |= {(number, key) for key in new}
        return new

    def _id_of(self, trial: optuna.trial.Trial) -> int:
        """The id of a trial of this worker. Its number in memory follows those of the past trials."""
        return self.ids[trial.number - self.past]

    def _add(self, number: int, trial: FrozenTrial) -> None:
        """Add a trial under its number. Earlier numbers are missing if their rows were deleted from the database."""
        while len(self.ids) < number:
            self.ids.append(
                self.memory.create_new_trial(self.study_id, optuna.trial.create_trial(state=TrialState.FAIL))
            )
        self.ids.append(self.memory.create_new_trial(self.study_id, trial))
        self._learn(self.ids[-1])

    def _learn(self, own_id: int) -> None:
        """Let the median pruner learn from a trial that has just become complete."""
        if isinstance(self.pruner, MedianPruner):
            trial = self.memory.get_trial(own_id)
            if trial.state == TrialState.COMPLETE:
                self.pruner.learn(trial)


def _past(trial: PastTrial, sweep: Sweep) -> FrozenTrial:
    """A past trial as samplers read it: complete, or pruned after some of its epochs."""
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE if trial.pruned_after is None else TrialState.PRUNED,
        value=trial.value,
        params=dict(trial.params),
        distributions={name: _distribution(dimension) for name, dimension in sweep.space.items()},
        intermediate_values={} if trial.pruned_after is None else {trial.pruned_after: trial.value},
        system_attrs={TrialSystemAttribute.PAST.value: True},
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    """The distribution that a trial gets when its value is drawn from this dimension."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """A failed trial in place of one that was enqueued by hand: that one has no slot and never runs."""
    return optuna.trial.create_trial(state=TrialState.FAIL, system_attrs=trial.system_attrs)


def _catch_up(memory: optuna.storages.InMemoryStorage, own_id: int, trial: FrozenTrial) -> None:
    """Copy to a running trial in memory what another worker has written to the database since."""
    own = memory.get_trial(own_id)
    for name in trial.params.keys() - own.params.keys():
        distribution = trial.distributions[name]
        memory.set_trial_param(own_id, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for step in trial.intermediate_values.keys() - own.intermediate_values.keys():
        memory.set_trial_intermediate_value(own_id, step, trial.intermediate_values[step])
    for key in trial.system_attrs.keys() - own.system_attrs.keys():
        memory.set_trial_system_attr(own_id, key, trial.system_attrs[key])
    if trial.state.is_finished():
        memory.set_trial_state_values(own_id, trial.state, trial.values)
