"""What a comparison consists of: arms, each a search with its confirmation, and lists of fixed trials."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from optbench.comparison.baseline import Setting, by_label
from optbench.comparison.selection import Selection, selection
from optbench.definition.sweep import Sweep
from optbench.optimizers import OPTIMIZERS, Optimizer
from optbench.optimizers.knobs import in_effect
from optbench.storage import StudyRecord, TrialRecord, UntilDecided, best_first, best_trials
from optbench.training.contract import Epoch

EXPLORING = ("random", "qmc")  # samplers whose trials are independent draws


@dataclass(frozen=True)
class Source:
    """A study with its trials, and their learning curves by trial id where curves were asked for."""

    study: StudyRecord
    trials: Sequence[TrialRecord]
    curves: Mapping[int, list[Epoch]] = field(default_factory=dict)

    @property
    def sweep(self) -> Sweep:
        """The sweep's definition."""
        assert self.study.sweep is not None, "collect reads optbench's studies only"
        return self.study.sweep

    @cached_property
    def settings(self) -> list[tuple[Setting, TrialRecord]]:
        """Each setting of a list of fixed trials, with its first trial."""
        firsts = {trial.label: trial for trial in reversed(self.trials)}
        return [(setting, firsts[setting.label]) for setting in by_label(self.sweep, self.trials)]


@dataclass(frozen=True)
class Configuration:
    """A configuration of a search that was confirmed in `study`, where each trial had `epochs`.

    `trial` is the search's trial; `scores` are test accuracies by seed; `curves` are the learning curves of the
    confirmation, where curves were asked for. `done` is false while the confirmation lacks trials. `diverged` counts
    the seeds whose network diverged; their score is the accuracy of guessing. `until_decided` says how far the
    confirmation was asked to go if its seeds were added until a comparison was decided.
    """

    trial: TrialRecord
    study: str
    epochs: int
    done: bool
    scores: Mapping[int, float]
    curves: Sequence[list[Epoch]]
    diverged: int
    until_decided: UntilDecided | None = None


@dataclass(frozen=True)
class Arm:
    """One search.

    `confirmed` are its confirmed configurations, in the order of `best`. `explored` is a search of the same space by
    independent draws. Where the search was repeated with other seeds, `repeats` are all of these searches, and the arm
    itself is the best of them.
    """

    source: Source
    confirmed: Sequence[Configuration] = ()
    explored: Source | None = None
    repeats: Sequence["Arm"] = ()

    @property
    def name(self) -> str:
        """The study's name; without its number where the search was repeated."""
        return base_name(self.source.study) if self.repeats else self.source.study.name

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""
        return self.source.study.optimizer

    @property
    def epochs(self) -> int:
        """For how many epochs a trial is trained, unless it is pruned."""
        return self.source.sweep.epochs

    @property
    def trials(self) -> int:
        """How many trials were finished, in all repeats."""
        return sum(arm.source.study.finished for arm in self.repeats or [self])

    @property
    def consumed(self) -> int:
        """How many epochs were trained, in all repeats and their finals."""
        studies = [arm.source.study for arm in self.repeats or [self]]
        return sum(study.epochs + (study.finals.epochs if study.finals else 0) for study in studies)

    @property
    def trial(self) -> TrialRecord:
        """The trial that represents the arm: the best by validation of the confirmed ones, or of all if none is."""
        return self.confirmed[0].trial if self.confirmed else self.best[0]

    @property
    def selection(self) -> Selection:
        """How that trial was chosen."""
        return selection(self.source.study, self.trial)

    @property
    def spread(self) -> Sequence[float]:
        """The validation accuracy of each repeat's best trial; empty where the search was not repeated."""
        return [selection(arm.source.study, arm.best[0]).accuracy for arm in self.repeats]

    @property
    def best(self) -> Sequence[TrialRecord]:
        """The finalists, and the complete trials that optbench trained, best first. An arm has at least one."""
        return [trial for trial in best_first(self.source.study.finals, self.source.trials) if trial.epochs]

    @property
    def single_runs(self) -> Sequence[TrialRecord]:
        """The complete trials that optbench trained, best run first, whatever the finals said."""
        return [trial for trial in best_trials(self.source.trials) if trial.epochs]


@dataclass(frozen=True)
class Comparison:
    """Arms, and what was measured on the same data with the same model.

    `fixed` are the lists of fixed trials that have as many epochs as the arms. `tested` are all studies on the test
    set, confirmations included. `differences` say how the arms differ apart from optimizer and space; a comparison with
    differences is not fair. `left_out` has the reason why another study is not compared, by the study's name.
    """

    arms: Sequence[Arm]
    fixed: Sequence[Source]
    tested: Sequence[Source]
    test_evaluations: Counter[str]
    differences: Sequence[str]
    left_out: Mapping[str, str] = field(default_factory=dict)


def explores(study: StudyRecord) -> bool:
    """Whether a search's trials are independent draws that run to their end, as budget curves need them."""
    sweep = study.sweep
    if sweep is None or not sweep.searches:
        return False
    return sweep.sampler.name in EXPLORING and sweep.pruner.name == "none" and not sweep.fixed


def is_default(trial: TrialRecord) -> bool:
    """Whether a trial has Keras' default of every hyperparameter."""
    known = OPTIMIZERS.get(trial.optimizer)
    return known is not None and _has(trial, known, known.defaults)


def is_paper(trial: TrialRecord) -> bool:
    """Whether a trial has the setting of its optimizer's paper. False where Keras' defaults are that setting."""
    known = OPTIMIZERS.get(trial.optimizer)
    return known is not None and known.paper is not None and _has(trial, known, known.complete(known.paper))


def shared_seeds(a: Arm, b: Arm) -> list[int]:
    """The seeds on which both arms' first configurations were confirmed; empty where one is not confirmed."""
    if not a.confirmed or not b.confirmed:
        return []
    return sorted(a.confirmed[0].scores.keys() & b.confirmed[0].scores.keys())


def base_name(study: StudyRecord) -> str:
    """The name that a search shares with its repeats, or its own name if it was not repeated."""
    return study.name if study.repeat_of is None else study.repeat_of


def percent(value: float) -> str:
    """An accuracy as a percentage, without the sign."""
    return f"{100 * value:.2f}"


def _has(trial: TrialRecord, known: Optimizer, values: Mapping[str, float]) -> bool:
    """Whether the trial has these hyperparameters, apart from rounding: rho may have been given as `one_minus_rho`."""
    own, values = in_effect(known.complete(trial.hyperparameters)), in_effect(values)
    return own.keys() == values.keys() and all(math.isclose(own[key], values[key]) for key in values)
