"""A study's trials in memory, where Optuna's samplers and pruners look at them: much faster than the database."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optbench.median import Median
from optbench.scheduler.states import Ending
from optbench.storage import AUDIT, STATES
from optbench.strategies import make_pruner, make_sampler
from optbench.sweep import Sweep

RUNG = "completed_rung_"


class InMemoryStudy:
    """Every trial of the study by its number, as the database has it.

    `name` is the study's: by it and a trial's number, Hyperband knows the trial's bracket.
    """

    def __init__(self, sweep: Sweep, name: str) -> None:
        self.sweep, self.sampled = sweep, False
        self.memory = optuna.storages.InMemoryStorage()
        self.pruner = make_pruner(sweep.pruner, sweep.epochs)
        self.study = optuna.create_study(
            storage=self.memory,
            study_name=name,
            direction="maximize",
            pruner=self.pruner,  # type: ignore[arg-type]  # one of ours is no subclass of Optuna's
        )
        self.study_id = self.memory.get_study_id_from_name(name)
        self.count = 0
        self.marked: set[tuple[int, str]] = set()

    def start(self, number: int, params: Mapping[str, float] | None) -> optuna.trial.Trial:
        """A trial that runs here; `params` are what it has to train, else the sampler decides.

        The first one's number seeds the sampler: no other worker has it, nor had it an earlier run.
        """
        if not self.sampled:
            self.study.sampler, self.sampled = make_sampler(self.sweep, number), True
        if number == self.count:
            self._add(optuna.trial.create_trial(state=TrialState.RUNNING))
        own_id = self._own_id(number)
        if params is not None:
            self.memory.set_trial_system_attr(own_id, "fixed_params", params)
        return optuna.trial.Trial(self.study, own_id)

    def end(self, trial: optuna.trial.Trial, ending: Ending) -> None:
        """A trial that ran here has ended."""
        state = STATES[ending.decision]
        self.study.tell(trial, ending.value if state == TrialState.COMPLETE else None, state)
        self._learn(self._own_id(trial.number))

    def follow(self, trial: FrozenTrial, own: bool) -> None:
        """Take in a trial as the database has it; one of our own is further on here."""
        if trial.number >= self.count:
            self._add(_failed(trial) if trial.state == TrialState.WAITING else trial)
        elif not own and not (held := self.memory.get_trial(self._own_id(trial.number))).state.is_finished():
            own_id = self._own_id(trial.number)
            _catch_up(self.memory, own_id, held, trial)
            self._learn(own_id)

    def mark(self, trial: optuna.trial.Trial, key: str, value: Any) -> None:
        """Note something of a trial that runs here, once."""
        own_id = self._own_id(trial.number)
        if key not in self.memory.get_trial(own_id).system_attrs:
            self.memory.set_trial_system_attr(own_id, key, value)

    def new_marks(self, trial: optuna.trial.Trial) -> dict[str, Any]:
        """What was newly noted of a trial; successive halving and hyperband note the rungs that it has reached."""
        own = self._own_id(trial.number)
        held = self.memory.get_trial(own).system_attrs
        new = {k: v for k, v in held.items() if k.startswith((RUNG, AUDIT)) and (own, k) not in self.marked}
        self.marked |= {(own, key) for key in new}
        return new

    def _add(self, trial: FrozenTrial) -> None:
        self._learn(self.memory.create_new_trial(self.study_id, trial))
        self.count += 1

    def _learn(self, own_id: int) -> None:
        """Let the pruner know of a trial that is complete now, and was not before."""
        if isinstance(self.pruner, Median):
            trial = self.memory.get_trial(own_id)
            if trial.state == TrialState.COMPLETE:
                self.pruner.learn(trial)

    def _own_id(self, number: int) -> int:
        return self.memory.get_trial_id_from_study_id_trial_number(self.study_id, number)


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """A trial that somebody enqueued by hand: it has no slot and never runs, but keeps its number."""
    return optuna.trial.create_trial(state=TrialState.FAIL, system_attrs=trial.system_attrs)


def _catch_up(memory: optuna.storages.InMemoryStorage, own_id: int, own: FrozenTrial, trial: FrozenTrial) -> None:
    """Copy to a running trial of the in-memory study what another worker has written of it since."""
    for name in trial.params.keys() - own.params.keys():
        distribution = trial.distributions[name]
        memory.set_trial_param(own_id, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for step in trial.intermediate_values.keys() - own.intermediate_values.keys():
        memory.set_trial_intermediate_value(own_id, step, trial.intermediate_values[step])
    for key in trial.system_attrs.keys() - own.system_attrs.keys():
        memory.set_trial_system_attr(own_id, key, trial.system_attrs[key])
    if trial.state.is_finished():
        memory.set_trial_state_values(own_id, trial.state, trial.values)
