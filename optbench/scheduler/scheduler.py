"""Decides what to train next (ask) and what becomes of it (decide), with Optuna's samplers and pruners.

It decides on a copy of the study in memory. The writer stores the decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optbench.defaults import RETRIES
from optbench.definition.sweep import Sweep
from optbench.scheduler.attributes import TrialAttribute, TrialSystemAttribute
from optbench.scheduler.contract import PastTrial, Writer
from optbench.scheduler.in_memory import InMemoryStudy
from optbench.scheduler.plan import audited, params_of, seed_of
from optbench.scheduler.slots import Failure, Slots
from optbench.scheduler.states import Decision, Ending
from optbench.training.contract import Epoch, Job, Trainer

LOST = Ending(Decision.INTERRUPTED, None, 0)


@dataclass(frozen=True)
class RunningTrial:
    """A trial that this worker trains: its row, its slot, and its copy in the in-memory study."""

    trial_id: int
    slot: int
    trial: optuna.trial.Trial


class Scheduler:
    """Schedules the trials of one study for one worker. Trials are known by their numbers."""

    def __init__(self, sweep: Sweep, writer: Writer, retries: int = RETRIES, past: Sequence[PastTrial] = ()) -> None:
        self.sweep, self.writer = sweep, writer
        self.slots = Slots(sweep, retries)
        trials = writer.updates()
        self.in_memory = InMemoryStudy(sweep, writer.name, past)
        self.running: dict[int, RunningTrial] = {}
        self.others: set[int] = set()
        self._follow(trials)

    def ask(self, optimizer: str, trainer: Trainer) -> Job | None:
        """The next trial of that optimizer, stored as running; None if every slot is finished or taken."""

        def choose(updates: Sequence[FrozenTrial]) -> int | None:
            self._follow(updates)
            return self.slots.free(optimizer)

        claim = self.writer.claim(choose)
        if claim is None:
            return None
        params = self.slots.retried(claim.slot) or params_of(self.sweep, claim.slot)
        trial = self.in_memory.start(claim.number, params)
        self.others.discard(claim.number)
        job = Job(
            number=claim.number,
            optimizer=optimizer,
            hparams=self.sweep.hparams(optimizer, trial.params),
            seed=seed_of(self.sweep, claim.slot),
            epochs=self.sweep.epochs,
        )
        self.writer.begin(claim.trial_id, trial.params, trial.distributions, self._attributes(job, trainer, claim.slot))
        self.running[claim.number] = RunningTrial(claim.trial_id, claim.slot, trial)
        return job

    def decide(self, job: Job, epoch: Epoch) -> Decision:
        """What becomes of a running trial after an epoch. Fixed trials are never pruned, audited ones marked."""
        own = self.running[job.number]
        own.trial.report(epoch.objective, epoch.epoch)
        if not epoch.finite:
            return Decision.DIVERGED
        if epoch.epoch >= job.epochs:
            return Decision.COMPLETE
        if own.slot >= len(self.sweep.fixed) and own.trial.should_prune():
            if not audited(self.sweep, own.slot):
                return Decision.PRUNED
            self.in_memory.mark(own.trial, TrialSystemAttribute.AUDIT, epoch.epoch)
        return Decision.CONTINUE

    def record(self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending]) -> set[int]:
        """The numbers of the trials that are no longer this worker's, after storing a round and dropping what ended."""
        own = self.running
        lost_ids = self.writer.record(
            {own[n].trial_id: epoch for n, epoch in trained.items() if n in own},
            {own[n].trial_id: ending for n, ending in endings.items() if n in own},
            {own[n].trial_id: self.in_memory.new_marks(own[n].trial) for n in trained if n in own},
        )
        lost = {number for number, running in own.items() if running.trial_id in lost_ids}
        for number in {*endings, *lost} & own.keys():
            # An update about a lost trial's end may have come already, so that this is the last time to note it.
            self.in_memory.end(own.pop(number).trial, LOST if number in lost else endings[number])
        return lost

    def extend(self, sweep: Sweep) -> None:
        """Schedule the trials that the study's list of fixed trials got; `sweep` is its definition now."""
        self.sweep = sweep
        self.slots.extend(sweep)

    def others_run(self) -> bool:
        """Whether trials of other workers are running."""
        self._follow(self.writer.updates())
        return bool(self.others)

    def _attributes(self, job: Job, trainer: Trainer, slot: int) -> dict[str, Any]:
        """The attributes that a trial has from its start."""
        attributes = {
            TrialAttribute.OPTIMIZER: job.optimizer,
            TrialAttribute.HYPERPARAMETERS: job.hparams,
            TrialAttribute.SEED: job.seed,
            TrialAttribute.LANES: trainer.lanes,
            TrialAttribute.TRAINER: trainer.name,
            TrialAttribute.DEVICE: trainer.device,
            TrialAttribute.THREADS: trainer.threads,
            TrialAttribute.XLA: trainer.xla,
            TrialAttribute.NUMERICS: job.numerics,
        }
        if slot < len(self.sweep.fixed):
            fixed = self.sweep.fixed[slot]
            optional = {TrialAttribute.LABEL: fixed.label, TrialAttribute.SOURCE_TRIAL: fixed.source_trial}
            attributes |= {key: value for key, value in optional.items() if value is not None}
        return {key.value: value for key, value in attributes.items()}

    def _follow(self, updates: Sequence[FrozenTrial]) -> None:
        """Bring the slots and the in-memory study up to date with trials of other workers and of earlier runs."""
        for trial in updates:
            self._count(trial)
            self.in_memory.follow(trial, trial.number in self.running)

    def _count(self, trial: FrozenTrial) -> None:
        """Note the slot of a trial, and whether another worker runs it. Trials of other programs have no slot."""
        slot, running = trial.user_attrs.get(TrialAttribute.SLOT), trial.state == TrialState.RUNNING
        if slot is None:
            return
        if trial.state == TrialState.FAIL:
            reason = trial.user_attrs.get(TrialAttribute.REASON)
            self.slots.fail(slot, trial.number, Failure(trial.params, reason))
        else:
            self.slots.hold(slot, trial.number)
        elsewhere = running and trial.number not in self.running and slot < self.sweep.trials
        (self.others.add if elsewhere else self.others.discard)(trial.number)
