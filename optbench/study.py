"""Decides: what to train next (ask), and what becomes of it (decide), with Optuna's samplers and pruners.

Decisions are taken on a copy of the study in memory; the writer keeps what was decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from optbench.in_memory import InMemoryStudy
from optbench.optimizers import OPTIMIZERS
from optbench.plan import audited, params_of, seed_of
from optbench.scheduler.attributes import TrialAttribute
from optbench.scheduler.states import Decision, Ending
from optbench.slots import Failure, Slots
from optbench.space import Choice
from optbench.storage import AUDIT, Writer
from optbench.sweep import Sweep
from optbench.training.contract import Epoch, Job, Trainer

RETRIES = 2  # how often the parameters of a trial whose worker crashed are tried again


@dataclass(frozen=True)
class RunningTrial:
    """A trial that this worker trains: its row, its slot of the budget, and its likeness in the in-memory study."""

    trial_id: int
    slot: int
    trial: optuna.trial.Trial


class Study:
    """A sweep's study, as one worker sees it."""

    def __init__(self, sweep: Sweep, writer: Writer, retries: int = RETRIES) -> None:
        self.sweep, self.writer = sweep, writer
        self.slots = Slots(sweep, retries)
        trials = writer.updates()
        self.in_memory = InMemoryStudy(sweep, writer.follower.name)
        self.running: dict[int, RunningTrial] = {}
        self.others: set[int] = set()
        self._follow(trials)

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None:
        """The next trial of that optimizer, written down as running; None if every slot is finished or taken."""

        def choose(updates: Sequence[FrozenTrial]) -> int | None:
            self._follow(updates)
            return self.slots.free(optimizer)

        claim = self.writer.claim(choose)
        if claim is None:
            return None
        params = self.slots.retried(claim.slot) or params_of(self.sweep, claim.slot)
        trial = self.in_memory.start(claim.number, params)
        self.others.discard(claim.number)
        distributions = self._distributions(params)
        for name, distribution in distributions.items():
            _suggest(trial, name, distribution)
        hparams = OPTIMIZERS[optimizer].resolve(trial.params)
        fixed = self.sweep.fixed[claim.slot] if claim.slot < len(self.sweep.fixed) else None
        attributes: dict[str, Any] = {
            "optimizer": optimizer,
            "hyperparameters": hparams,
            "seed": seed_of(self.sweep, claim.slot),
            "lanes": trainer.lanes,
            "trainer": trainer.name,
            "device": trainer.device,
        }
        if fixed and fixed.label:
            attributes["label"] = fixed.label
        if fixed and fixed.source_trial is not None:
            attributes[TrialAttribute.SOURCE_TRIAL] = fixed.source_trial
        self.writer.begin(claim.trial_id, trial.params, distributions, attributes)
        self.running[claim.number] = RunningTrial(claim.trial_id, claim.slot, trial)
        return Job(claim.number, optimizer, hparams, attributes["seed"], self.sweep.epochs)

    def decide(self, job: Job, epoch: Epoch) -> Decision:
        """What becomes of a running trial after an epoch. Fixed trials are never pruned, audited ones only marked."""
        own = self.running[job.number]
        own.trial.report(epoch.objective, epoch.epoch)
        if not epoch.finite:
            return Decision.DIVERGED
        if epoch.epoch >= job.epochs:
            return Decision.COMPLETE
        if own.slot >= len(self.sweep.fixed) and own.trial.should_prune():
            if not audited(self.sweep, own.slot):
                return Decision.PRUNED
            self.in_memory.mark(own.trial, AUDIT, epoch.epoch)
        return Decision.CONTINUE

    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]:
        """Write a round down, by trial number, and drop what ended; returns the trials that are no longer ours."""
        own = self.running
        gone = self.writer.record(
            {own[n].trial_id: epoch for n, epoch in trained.items() if n in own},
            {own[n].trial_id: ending for n, ending in endings.items() if n in own},
            {own[n].trial_id: self.in_memory.new_marks(own[n].trial) for n in trained if n in own},
        )
        lost = {number for number, running in own.items() if running.trial_id in gone}
        for number in {*endings, *lost} & own.keys():
            running = own.pop(number)
            if number in lost:
                self.others.add(number)  # what became of it is in the database, and is read with the next updates
            else:
                self.in_memory.end(running.trial, endings[number])
        return lost

    def others_run(self) -> bool:
        """Whether trials of other workers are running."""
        self._follow(self.writer.updates())
        return bool(self.others)

    def _distributions(self, params: Mapping[str, float] | None) -> dict[str, BaseDistribution]:
        if not self.sweep.searches:
            return {name: FloatDistribution(value, value) for name, value in (params or {}).items()}
        return {
            name: CategoricalDistribution(d.values)
            if isinstance(d, Choice)
            else FloatDistribution(d.low, d.high, log=d.log)
            for name, d in self.sweep.space.items()
        }

    def _follow(self, updates: Sequence[FrozenTrial]) -> None:
        """Bring slots and in-memory study up to the database: trials of other workers, and of earlier runs."""
        for trial in updates:
            self._count(trial)
            self.in_memory.follow(trial, trial.number in self.running)

    def _count(self, trial: FrozenTrial) -> None:
        """Take in whose a trial's slot is, and whether another worker is at it. Other programs' trials have no slot."""
        slot, running = trial.user_attrs.get("slot"), trial.state == TrialState.RUNNING
        if slot is None:
            return
        if trial.state == TrialState.FAIL:
            self.slots.fail(slot, trial.number, Failure(trial.params, trial.user_attrs.get("reason")))
        else:
            self.slots.hold(slot, trial.number)
        elsewhere = running and trial.number not in self.running and slot < self.sweep.trials
        (self.others.add if elsewhere else self.others.discard)(trial.number)


def _suggest(trial: optuna.trial.Trial, name: str, distribution: BaseDistribution) -> None:
    """Let the sampler choose a parameter of the trial."""
    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
    elif isinstance(distribution, FloatDistribution):
        trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
