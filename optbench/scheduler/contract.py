"""What the scheduler needs of a storage: the writing side of a study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from optbench.scheduler.states import Decision, Ending
from optbench.training.contract import Epoch

TRIAL_STATES: Mapping[Decision, TrialState] = {
    Decision.COMPLETE: TrialState.COMPLETE,
    Decision.DIVERGED: TrialState.COMPLETE,
    Decision.PRUNED: TrialState.PRUNED,
    Decision.INTERRUPTED: TrialState.FAIL,
}
"""Optuna's state of a trial that ended in this way. Diverged trials are complete, so that samplers learn from them."""


@dataclass(frozen=True)
class PastTrial:
    """A finished trial of another study, in this study's space. `pruned_after` so many epochs; None if it was not."""

    params: Mapping[str, float]
    value: float
    pruned_after: int | None = None


@dataclass(frozen=True)
class Claim:
    """A new trial's row, taken for one slot of the study's budget."""

    trial_id: int
    number: int
    slot: int


class Writer(Protocol):
    """The writing side of a study, for one worker. Trials are known by their ids."""

    name: str
    """The study's name."""

    def updates(self) -> Sequence[FrozenTrial]:
        """The trials that may have changed since the last call or the last claim."""

    def claim(self, choose: Callable[[Sequence[FrozenTrial]], int | None]) -> Claim | None:
        """A new running trial for the slot that `choose` returns, or None. No two workers get the same slot.

        `choose` gets updates, and may be called more than once before a slot is taken.
        """

    def begin(
        self,
        trial_id: int,
        params: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        described: Mapping[str, Any],
    ) -> None:
        """Write the parameters and the attributes `described` of a claimed trial, before it trains."""

    def record(
        self, trained: Mapping[int, Epoch], endings: Mapping[int, Ending], marks: Mapping[int, Mapping[str, Any]]
    ) -> set[int]:
        """The trials that are no longer this worker's, after writing one round. `marks` are new system attributes."""
