"""Finds the ends of ranges at which the best trials of a search sit, and proposes wider ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.definition.space import Float
from optbench.optimizers import ONE_MINUS, OPTIMIZERS
from optbench.statistics.search import End, boundary, wider
from optbench.storage import StudyRecord, TrialRecord

USEFUL: Mapping[str, float] = {"epsilon": 1.0}
"""The largest values that are proposed. A larger epsilon outweighs the average that it is added to, and only scales the
learning rate.
"""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An end of a hyperparameter's range, at `bound`, where the best trials sit; `low` to `high` is a wider range."""

    name: str
    end: End
    bound: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The warning in words."""
        return f"{self.name}: the best trials sit at its {self.end} end; try {self.low:.2g} to {self.high:.2g}."


def edges(study: StudyRecord, best: Sequence[TrialRecord]) -> list[Edge]:
    """Every end of a range at which the study's best trials sit (best first), unless no wider range is useful."""
    found = []
    for name, dimension in study.sweep.space.items() if study.sweep else ():
        if not isinstance(dimension, Float):
            continue
        units = [dimension.unit(trial.params[name]) for trial in best if name in trial.params]
        for end in boundary(units).ends if units else ():
            low, high = _proposal(study.optimizer, name, dimension, end)
            if (low, high) != (dimension.low, dimension.high):
                bound = dimension.low if end == "low" else dimension.high
                found.append(Edge(name=name, end=end, bound=bound, low=low, high=high))
    return found


def _proposal(optimizer: str, name: str, dimension: Float, end: End) -> tuple[float, float]:
    """The range, wider at that end, within the hyperparameter's bounds and no further than is useful."""
    low, high = wider(dimension.low, dimension.high, dimension.log, end)
    if name.startswith(ONE_MINUS):
        return max(low, 0.0), min(high, 1.0)
    known = OPTIMIZERS[optimizer].hyperparameters[name]
    useful = max(USEFUL.get(name, known.high), dimension.high)
    return max(low, known.low), min(high, known.high, useful)
