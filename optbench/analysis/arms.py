"""What is compared: arms, each a search with its confirmation, and lists of fixed trials. collect.py finds them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from optbench.analysis.baseline import Setting, by_label
from optbench.optimizers import OPTIMIZERS
from optbench.storage import StudyRecord, TrialRecord, best_trials
from optbench.training.contract import Epoch

EXPLORING = ("random", "qmc")


@dataclass(frozen=True)
class Source:
    """A study with its trials and their curves, by trial id."""

    study: StudyRecord
    trials: Sequence[TrialRecord]
    curves: Mapping[int, list[Epoch]]

    @property
    def definition(self) -> Mapping[str, Any]:
        """The sweep's definition."""
        return self.study.definition or {}

    @property
    def explores(self) -> bool:
        """Whether its trials are independent draws that ran to their ends: what budgets are judged by."""
        return explores(self.study)

    @cached_property
    def settings(self) -> list[tuple[Setting, TrialRecord]]:
        """Of a list of fixed trials: each setting with its first trial."""
        firsts = {trial.label: trial for trial in reversed(self.trials)}
        return [(setting, firsts[setting.label]) for setting in by_label(self.definition, self.trials)]


@dataclass(frozen=True)
class Configuration:
    """A trial of a search that was confirmed in `study`, for `epochs`: its test accuracies by seed, its curves.

    `done` unless that study lacks trials; `diverged` of the seeds came to no network, and score as guessing does.
    """

    trial: TrialRecord
    study: str
    epochs: int
    done: bool
    scores: Mapping[int, float]
    curves: Sequence[list[Epoch]]
    diverged: int


@dataclass(frozen=True)
class Arm:
    """One search. `confirmed` are its configurations, best by validation first; `explored` looks at the same space
    evenly; `repeats` are the searches of which this is the best, where it was repeated with other seeds.
    """

    source: Source
    confirmed: Sequence[Configuration] = ()
    explored: Source | None = None
    repeats: Sequence["Arm"] = ()

    @property
    def name(self) -> str:
        """The study's name; without its number, where the search was repeated."""
        return base_name(self.source.study.name) if self.repeats else self.source.study.name

    @property
    def optimizer(self) -> str:
        """The optimizer."""
        return self.source.study.optimizer

    @property
    def epochs(self) -> int:
        """How many epochs a trial has that is not pruned."""
        return int(self.source.definition["epochs"])

    @property
    def trials(self) -> int:
        """How many trials were finished, in all repeats."""
        return sum(arm.source.study.finished for arm in self.repeats or [self])

    @property
    def consumed(self) -> int:
        """How many epochs were trained, in all repeats."""
        return sum(arm.source.study.epochs for arm in self.repeats or [self])

    @property
    def trial(self) -> TrialRecord:
        """The trial that stands for the arm: the best by validation of those that were confirmed, else of all."""
        return self.confirmed[0].trial if self.confirmed else self.best[0]

    @property
    def spread(self) -> Sequence[float]:
        """The best value of each repeat; none where the search was not repeated."""
        return [arm.best[0].value or 0.0 for arm in self.repeats]

    @property
    def best(self) -> Sequence[TrialRecord]:
        """The complete trials that optbench trained, best first."""
        return [trial for trial in best_trials(self.source.trials) if trial.trial_id in self.source.curves]


@dataclass(frozen=True)
class Comparison:
    """Arms and lists of fixed trials of one family; `differences` say in what else the arms differ, `left_out` are
    other searches, each with the reason why it does not compare.
    """

    arms: Sequence[Arm]
    fixed: Sequence[Source]
    test_evaluations: Counter[str]
    differences: Sequence[str]
    left_out: Mapping[str, str] = field(default_factory=dict)


def dash(arms: Sequence[Arm], arm: Arm) -> str:
    """How an arm's lines are drawn: solid, unless an arm before it has the same optimizer, and so the same colour."""
    earlier = [other.name for other in arms if other.optimizer == arm.optimizer]
    return ("solid", "dashdot", "longdash")[min(earlier.index(arm.name), 2)]


def explores(study: StudyRecord) -> bool:
    """Whether a search's trials are independent draws that run to their ends."""
    table = study.definition or {}
    return table["sampler"]["name"] in EXPLORING and table["pruner"]["name"] == "none" and "trial" not in table


def is_paper(trial: TrialRecord) -> bool:
    """Whether a trial has what the paper of its optimizer sets, where that is not Keras' default."""
    known = OPTIMIZERS.get(trial.optimizer)
    return known is not None and known.complete(trial.hyperparameters) == known.paper


def is_default(trial: TrialRecord) -> bool:
    """Whether a trial has Keras' default of every hyperparameter."""
    known = OPTIMIZERS.get(trial.optimizer)
    return known is not None and known.complete(trial.hyperparameters) == known.defaults


def shared_seeds(a: Arm, b: Arm) -> list[int]:
    """The seeds on which both arms' first configurations were confirmed."""
    return sorted(a.confirmed[0].scores.keys() & b.confirmed[0].scores.keys())


def base_name(name: str) -> str:
    """The name of a search without the number that tells its repeats apart."""
    base, slash, number = name.rpartition("/")
    return base if slash and number.isdecimal() else name


def points(value: float) -> str:
    """An accuracy as a percentage."""
    return f"{100 * value:.2f}"
