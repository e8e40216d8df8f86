"""Where a search space cuts its best trials off, and the range to try instead."""

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.analysis.search import End, boundary, wider
from optbench.definition import parse
from optbench.optimizers import ONE_MINUS, OPTIMIZERS
from optbench.space import Float
from optbench.storage import StudyRecord, TrialRecord


@dataclass(frozen=True)
class Edge:
    """An end of a hyperparameter's range, at `bound`, where the best trials sit; `low` to `high` is a wider range."""

    name: str
    end: End
    bound: float
    low: float
    high: float

    @property
    def said(self) -> str:
        """The warning in words."""
        return f"{self.name}: the best trials sit at its {self.end} end; try {self.low:.2g} to {self.high:.2g}."


def edges(study: StudyRecord, best: Sequence[TrialRecord]) -> list[Edge]:
    """Every end at which the study's best trials, best first, sit, unless the hyperparameter ends there itself. S16."""
    sweep, found = parse(study.definition or {}, f"study {study.name!r}"), []
    for name, dimension in sweep.space.items():
        if not isinstance(dimension, Float):
            continue
        units = [dimension.unit(trial.params[name]) for trial in best if name in trial.params]
        for end in boundary(units).ends if units else ():
            low, high = wider(dimension.low, dimension.high, dimension.log, end)
            known = OPTIMIZERS[study.optimizer].hyperparameters[name.removeprefix(ONE_MINUS)]
            high = min(high, 1.0) if name.startswith(ONE_MINUS) else min(high, known.high)
            low = max(low, 0.0 if name.startswith(ONE_MINUS) else known.low)
            if (low, high) != (dimension.low, dimension.high):
                found.append(Edge(name, end, dimension.low if end == "low" else dimension.high, low, high))
    return found
