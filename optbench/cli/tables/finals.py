"""The finals of a search as a table: each finalist with its mean over fresh seeds beside its single run."""

import shlex
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import optimism, percent
from optbench.comparison.selection import mean_in_percent
from optbench.definition.rounds import least_budget, smallest, trainings
from optbench.scheduler.states import StudyState
from optbench.storage import FinalsRecord, StudyRecord


def finals(study: StudyRecord) -> Iterator[RenderableType]:
    """The finalists, best first; nothing for a study without finals."""
    found = study.finals
    if found is None:
        return
    yield Text(f"finals {found.study}: {_progress(study, found)}", style="bold")
    yield Fitted(
        [
            Column("rank", [str(rank) for rank in range(1, len(found.finalists) + 1)]),
            Column("trial", [str(one.trial) for one in found.finalists]),
            Column(f"mean {study.metric} %", [mean_in_percent(one) for one in found.finalists]),
            Column("seeds", [str(len(one.scores)) for one in found.finalists], rank=1),
            Column("single run %", [percent(one.searched) for one in found.finalists], rank=2),
            Column("single run - mean", [optimism(one) for one in found.finalists], rank=3),
        ]
    )
    yield Text("")


def one_run(study: StudyRecord) -> Iterator[RenderableType]:
    """For a search whose best trial rests on one run, what to type to choose it on several seeds."""
    if study.finals is None and study.searches and study.best is not None and study.state is StudyState.DONE:
        total = study.total or 1
        fewest = 3 if study.sweep and study.sweep.known else 2  # the known settings always take part
        usual = trainings(study.sweep.finals.budget if study.sweep and study.sweep.finals else None, total)
        option = "" if usual >= smallest(fewest) else f" --budget {least_budget(total, fewest):g}"
        if least_budget(total, fewest) > 1:
            return
        command = f"`optbench finals {shlex.quote(study.name)}{option}`"
        yield Text(f"the best rests on one run; {command} chooses it on several seeds", style="dim")


def _progress(study: StudyRecord, found: FinalsRecord) -> str:
    if found.done:
        return f"done, {found.total} trials; a configuration of a later round ranks higher, whatever its mean"
    resume = f"`optbench resume {shlex.quote(study.name)}` carries on"
    return f"{found.finished}/{found.total} trials, so its best still rests on one run; {resume}"
