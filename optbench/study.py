"""Decides: what to train next (ask), and what becomes of it (judge). The only user of Optuna's samplers and pruners.

Decisions are taken on a mirror of the study in memory, a hundred times faster than on the database; the ledger keeps
what was decided.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optbench.job import STOPPED, Ending, Epoch, Job, Trainer, Verdict
from optbench.plan import optimizer_of, params_of, seed_of
from optbench.randomness import Purpose, seed
from optbench.space import Choice, hyperparameters
from optbench.storage import STATES, Claim, Ledger
from optbench.sweep import Strategy, Sweep

ATTEMPTS = 3  # a slot's parameters may fail so often; after that the sampler gives it others. Ctrl-C does not count
RUNG = "completed_rung_"


class Study:
    """A sweep's study, as one worker sees it."""

    def __init__(self, sweep: Sweep, ledger: Ledger) -> None:
        self.sweep, self.ledger = sweep, ledger
        self.memory = optuna.storages.InMemoryStorage()
        trials = ledger.trials()
        self.mirror = optuna.create_study(
            storage=self.memory,
            study_name=sweep.name,
            direction="maximize",
            sampler=make_sampler(sweep, len(trials)),
            pruner=make_pruner(sweep.pruner, sweep.epochs),
        )
        self.study_id = self.memory.get_study_id_from_name(sweep.name)
        self.running: dict[int, tuple[int, int, optuna.trial.Trial]] = {}
        self.marked: set[tuple[int, str]] = set()
        self._follow(trials)

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None:
        """The next trial of that optimizer, written down as running; None if every slot is finished or taken."""
        claim = self.ledger.claim(lambda trials: self._free_slot(trials, optimizer))
        if claim is None:
            return None
        self._follow(claim.trials)
        params = self._retried(claim) or params_of(self.sweep, claim.slot)
        if params is not None:
            self.mirror.enqueue_trial(params)
        distributions = self._distributions(params)
        trial = self.mirror.ask(distributions)
        hyper = hyperparameters(optimizer, trial.params)
        fixed = self.sweep.fixed[claim.slot] if claim.slot < len(self.sweep.fixed) else None
        attributes: dict[str, Any] = {
            "optimizer": optimizer,
            "hyperparameters": hyper,
            "seed": seed_of(self.sweep, claim.slot),
            "lanes": trainer.lanes,
            "trainer": trainer.name,
            "device": trainer.device,
        }
        if fixed and fixed.label:
            attributes["label"] = fixed.label
        self.ledger.begin(claim.trial_id, trial.params, distributions, attributes)
        self.running[claim.number] = (claim.trial_id, claim.slot, trial)
        return Job(claim.number, optimizer, hyper, attributes["seed"], self.sweep.epochs)

    def judge(self, job: Job, epoch: Epoch) -> Verdict:
        """What becomes of a running trial after an epoch. Fixed trials are never pruned."""
        _, slot, trial = self.running[job.number]
        trial.report(epoch.objective, epoch.epoch)
        if not epoch.finite:
            return Verdict.DIVERGED
        if epoch.epoch >= job.epochs:
            return Verdict.COMPLETE
        if slot >= len(self.sweep.fixed) and trial.should_prune():
            return Verdict.PRUNED
        return Verdict.CONTINUE

    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]:
        """Write a round down, by trial number, and drop what ended; returns the trials that are no longer ours."""
        ids = {number: trial_id for number, (trial_id, _, _) in self.running.items()}
        gone = self.ledger.record(
            {ids[n]: epoch for n, epoch in trained.items() if n in ids},
            {ids[n]: ending for n, ending in endings.items() if n in ids},
            {ids[n]: self._new_marks(n) for n in trained if n in ids},
        )
        lost = {number for number, trial_id in ids.items() if trial_id in gone}
        for number in {*endings, *lost} & ids.keys():
            _, _, trial = self.running.pop(number)
            ending = endings.get(number)
            state = STATES[ending.verdict] if ending and number not in lost else TrialState.FAIL
            value = ending.value if ending and state == TrialState.COMPLETE else None
            self.mirror.tell(trial, value, state)
        return lost

    def _new_marks(self, number: int) -> dict[str, Any]:
        """The rungs that a trial has newly reached: successive halving and hyperband keep them in the trial."""
        trial_id, _, trial = self.running[number]
        held = self.memory.get_trial(trial._trial_id).system_attrs
        new = {key: value for key, value in held.items() if key.startswith(RUNG) and (trial_id, key) not in self.marked}
        self.marked |= {(trial_id, key) for key in new}
        return new

    def others_run(self) -> bool:
        """Whether trials of other workers are running."""
        return any(trial.state == TrialState.RUNNING for trial in self.ledger.trials())

    def _free_slot(self, trials: Sequence[FrozenTrial], optimizer: str) -> int | None:
        """The first slot of the optimizer that is neither finished nor running."""
        taken = {t.user_attrs.get("slot") for t in trials if t.state != TrialState.FAIL}
        free = (slot for slot in range(self.sweep.trials) if slot not in taken)
        return next((slot for slot in free if optimizer_of(self.sweep, slot) == optimizer), None)

    def _retried(self, claim: Claim) -> dict[str, float] | None:
        """The parameters that an interrupted trial of the same slot had."""
        tried = [t for t in claim.trials if t.user_attrs.get("slot") == claim.slot and t.params]
        failed = sum(t.params == tried[-1].params and t.user_attrs.get("reason") != STOPPED for t in tried)
        return dict(tried[-1].params) if tried and failed < ATTEMPTS else None

    def _distributions(self, params: Mapping[str, float] | None) -> dict[str, BaseDistribution]:
        if not self.sweep.searches:
            return {name: FloatDistribution(value, value) for name, value in (params or {}).items()}
        return {
            name: CategoricalDistribution(d.values)
            if isinstance(d, Choice)
            else FloatDistribution(d.low, d.high, log=d.log)
            for name, d in self.sweep.space.items()
        }

    def _follow(self, trials: Sequence[FrozenTrial]) -> None:
        """Bring the mirror up to the database: trials of other workers, and of earlier runs."""
        mirrored = self.memory.get_all_trials(self.study_id, deepcopy=False)
        for trial, own in zip(trials, mirrored, strict=False):
            if not own.state.is_finished() and own.number not in self.running:
                _catch_up(self.memory, own, trial)
        for trial in trials[len(mirrored) :]:
            self.mirror.add_trial(_failed(trial) if trial.state == TrialState.WAITING else trial)


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """A trial that somebody enqueued by hand: it has no slot and never runs, but keeps its number."""
    return optuna.trial.create_trial(state=TrialState.FAIL, system_attrs=trial.system_attrs)


def _catch_up(memory: optuna.storages.InMemoryStorage, own: FrozenTrial, trial: FrozenTrial) -> None:
    """Copy to a running trial of the mirror what another worker has written of it since."""
    for name in trial.params.keys() - own.params.keys():
        distribution = trial.distributions[name]
        memory.set_trial_param(own._trial_id, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for step in trial.intermediate_values.keys() - own.intermediate_values.keys():
        memory.set_trial_intermediate_value(own._trial_id, step, trial.intermediate_values[step])
    for key in trial.system_attrs.keys() - own.system_attrs.keys():
        memory.set_trial_system_attr(own._trial_id, key, trial.system_attrs[key])
    if trial.state.is_finished():
        memory.set_trial_state_values(own._trial_id, trial.state, trial.values)


def make_sampler(sweep: Sweep, existing: int) -> optuna.samplers.BaseSampler:
    """The sampler on the mirror; its seed depends on the trials that exist, so that a restart does not repeat draws."""
    drawn = seed(Purpose.SAMPLER, sweep.seed, existing)
    if sweep.sampler.name != "tpe":
        return optuna.samplers.RandomSampler(drawn)  # never asked: plan.py has the points
    return optuna.samplers.TPESampler(seed=drawn, **dict(sweep.sampler.arguments))  # type: ignore[arg-type]


def make_pruner(pruner: Strategy, epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's pruner by our name for it."""
    arguments: dict[str, Any] = dict(pruner.arguments)
    if pruner.name == "median":
        arguments["n_warmup_steps"] += (
            1  # Optuna judges at the step of that number already; our steps are epochs from 1
        )
        return optuna.pruners.MedianPruner(**arguments)
    if pruner.name == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs, **arguments)
    if pruner.name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(**arguments)
    return optuna.pruners.NopPruner()
