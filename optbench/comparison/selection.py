"""How the configuration of a search was chosen: by one run, or in finals over fresh seeds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.errors import counted
from optbench.storage import StudyRecord, TrialRecord

if TYPE_CHECKING:
    from optbench.scheduler.finals import Finalist

FEW = 3
"""With fewer seeds a t-interval says little: that of two seeds is thirteen times as wide as their range."""


@dataclass(frozen=True)
class Selection:
    """How a trial was chosen by validation accuracy: by its single run, or as a finalist on fresh seeds.

    `single` is the accuracy of its run in the search, a fraction.
    """

    single: float
    finalist: "Finalist | None" = None

    @property
    def accuracy(self) -> float:
        """The validation accuracy that it was chosen by: the mean over fresh seeds, or that of its single run."""
        return self.single if self.finalist is None else self.finalist.mean

    @property
    def seeds(self) -> int:
        """The number of trainings that the accuracy is the mean of."""
        return 1 if self.finalist is None else len(self.finalist.scores)

    @property
    def in_percent(self) -> str:
        """The accuracy in percent, without the percent sign; that of a finalist with its interval."""
        return f"{100 * self.single:.2f}" if self.finalist is None else mean_in_percent(self.finalist)

    @property
    def in_words(self) -> str:
        """By what it was chosen."""
        return "one run" if self.finalist is None else f"finals, {counted(self.seeds, 'seed')}"


def mean_in_percent(one: "Finalist", unit: str = "") -> str:
    """A finalist's mean over fresh seeds in percent, with half of its 95 % interval or, over few seeds, the range."""
    mean, scores = f"{100 * one.mean:.2f}", one.scores.values()
    if len(scores) == 1:
        return f"{mean}{unit}"
    if len(scores) < FEW:
        return f"{mean}{unit} ({100 * min(scores):.2f} to {100 * max(scores):.2f})"
    return f"{mean} ± {100 * one.interval.margin:.2f}{unit}"


def in_finals(one: "Finalist", metric: str) -> str:
    """What finals measured of a finalist: its mean over fresh seeds, and the accuracy of its single run beside it."""
    mean = f"mean {metric} {mean_in_percent(one, ' %')} over {counted(len(one.scores), 'fresh seed')}"
    return mean if one.searched is None else f"{mean}, {100 * one.searched:.2f} % in its single run"


def finalist_json(one: "Finalist") -> dict[str, float | int | None]:
    """What finals measured of a finalist, with stable keys; accuracies are fractions."""
    return {
        "mean": one.mean,
        "margin": one.interval.margin if len(one.scores) > 1 else None,
        "seeds": len(one.scores),
        "single_run": one.searched,
        "single_run_minus_mean": one.optimism,
    }


def selection(study: StudyRecord, trial: TrialRecord) -> Selection:
    """How that trial of the search was chosen."""
    finals = study.finals if study.finals is not None and study.finals.done else None
    finalist = next((one for one in finals.finalists if one.trial == trial.number), None) if finals else None
    return Selection(single=trial.accuracy or 0.0, finalist=finalist)
