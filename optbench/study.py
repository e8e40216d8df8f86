"""Decides: what to train next (ask), and what becomes of it (judge), with Optuna's samplers and pruners.

Decisions are taken on a mirror of the study in memory, a hundred times faster than on the database; the ledger keeps
what was decided.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optbench.job import Ending, Epoch, Job, Trainer, Verdict
from optbench.plan import params_of, seed_of
from optbench.slots import Failure, Slots
from optbench.space import Choice, hyperparameters
from optbench.storage import STATES, Ledger
from optbench.strategies import make_pruner, make_sampler
from optbench.sweep import Sweep

RETRIES = 2  # how often the parameters of a trial whose worker crashed are tried again
RUNG = "completed_rung_"


class Study:
    """A sweep's study, as one worker sees it."""

    def __init__(self, sweep: Sweep, ledger: Ledger, retries: int = RETRIES) -> None:
        self.sweep, self.ledger = sweep, ledger
        self.memory = optuna.storages.InMemoryStorage()
        self.slots = Slots(sweep, retries)
        trials = ledger.news()
        self.mirror = optuna.create_study(
            storage=self.memory,
            study_name=sweep.name,
            direction="maximize",
            sampler=make_sampler(sweep, len(trials)),
            pruner=make_pruner(sweep.pruner, sweep.epochs),
        )
        self.study_id = self.memory.get_study_id_from_name(sweep.name)
        self.running: dict[int, tuple[int, int, optuna.trial.Trial]] = {}
        self.others: set[int] = set()
        self.marked: set[tuple[int, str]] = set()
        self.mirrored = 0
        self._follow(trials)

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None:
        """The next trial of that optimizer, written down as running; None if every slot is finished or taken."""

        def choose(news: Sequence[FrozenTrial]) -> int | None:
            self._follow(news)
            return self.slots.free(optimizer)

        claim = self.ledger.claim(choose)
        if claim is None:
            return None
        params = self.slots.retried(claim.slot) or params_of(self.sweep, claim.slot)
        trial = self._seat(claim.number, params)
        distributions = self._distributions(params)
        for name, distribution in distributions.items():
            trial._suggest(name, distribution)
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
            if number in lost:
                self.others.add(number)  # what became of it is in the database, and is read with the next news
                continue
            ending = endings[number]
            state = STATES[ending.verdict]
            self.mirror.tell(trial, ending.value if state == TrialState.COMPLETE else None, state)
        return lost

    def _seat(self, number: int, params: Mapping[str, float] | None) -> optuna.trial.Trial:
        """A claimed trial in the mirror; `params` are what it has to train, else the sampler decides."""
        if number == self.mirrored:
            self._add(optuna.trial.create_trial(state=TrialState.RUNNING))
        own_id = self.memory.get_trial_id_from_study_id_trial_number(self.study_id, number)
        if params is not None:
            self.memory.set_trial_system_attr(own_id, "fixed_params", params)
        self.others.discard(number)
        return optuna.trial.Trial(self.mirror, own_id)

    def others_run(self) -> bool:
        """Whether trials of other workers are running."""
        self._follow(self.ledger.news())
        return bool(self.others)

    def _new_marks(self, number: int) -> dict[str, Any]:
        """The rungs that a trial has newly reached: successive halving and hyperband keep them in the trial."""
        trial_id, _, trial = self.running[number]
        held = self.memory.get_trial(trial._trial_id).system_attrs
        new = {key: value for key, value in held.items() if key.startswith(RUNG) and (trial_id, key) not in self.marked}
        self.marked |= {(trial_id, key) for key in new}
        return new

    def _distributions(self, params: Mapping[str, float] | None) -> dict[str, BaseDistribution]:
        if not self.sweep.searches:
            return {name: FloatDistribution(value, value) for name, value in (params or {}).items()}
        return {
            name: CategoricalDistribution(d.values)
            if isinstance(d, Choice)
            else FloatDistribution(d.low, d.high, log=d.log)
            for name, d in self.sweep.space.items()
        }

    def _follow(self, news: Sequence[FrozenTrial]) -> None:
        """Bring the mirror up to the database: trials of other workers, and of earlier runs."""
        for trial in news:
            self._count(trial)
            if trial.number >= self.mirrored:
                self._add(_failed(trial) if trial.state == TrialState.WAITING else trial)
            elif trial.number not in self.running:
                own_id = self.memory.get_trial_id_from_study_id_trial_number(self.study_id, trial.number)
                _catch_up(self.memory, self.memory.get_trial(own_id), trial)

    def _add(self, trial: FrozenTrial) -> None:
        self.memory.create_new_trial(self.study_id, trial)
        self.mirrored += 1

    def _count(self, trial: FrozenTrial) -> None:
        """Take in whose a trial's slot is, and whether another worker is at it. Other programs' trials have no slot."""
        slot, running = trial.user_attrs.get("slot"), trial.state == TrialState.RUNNING
        if slot is None:
            return
        if trial.state == TrialState.FAIL:
            self.slots.fail(slot, trial.number, Failure(trial.params, trial.user_attrs.get("reason")))
        else:
            self.slots.hold(slot, trial.number)
        elsewhere = running and trial.number not in self.running
        (self.others.add if elsewhere else self.others.discard)(trial.number)


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """A trial that somebody enqueued by hand: it has no slot and never runs, but keeps its number."""
    return optuna.trial.create_trial(state=TrialState.FAIL, system_attrs=trial.system_attrs)


def _catch_up(memory: optuna.storages.InMemoryStorage, own: FrozenTrial, trial: FrozenTrial) -> None:
    """Copy to a running trial of the mirror what another worker has written of it since."""
    if own.state.is_finished():
        return
    for name in trial.params.keys() - own.params.keys():
        distribution = trial.distributions[name]
        memory.set_trial_param(own._trial_id, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for step in trial.intermediate_values.keys() - own.intermediate_values.keys():
        memory.set_trial_intermediate_value(own._trial_id, step, trial.intermediate_values[step])
    for key in trial.system_attrs.keys() - own.system_attrs.keys():
        memory.set_trial_system_attr(own._trial_id, key, trial.system_attrs[key])
    if trial.state.is_finished():
        memory.set_trial_state_values(own._trial_id, trial.state, trial.values)
