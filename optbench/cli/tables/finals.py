"""The finals of a search as a table: each finalist with its mean over fresh seeds beside its single run."""

import shlex
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import NOTHING, percent
from optbench.comparison.selection import mean_in_percent
from optbench.scheduler.finals import Finalist
from optbench.storage import FinalsRecord, StudyRecord


def finals(study: StudyRecord) -> Iterator[RenderableType]:
    """The finalists, best first; or, for a search that has a best trial, that it rests on one run."""
    if study.finals is None:
        if study.searches and study.best is not None:
            yield Text(f"{one_run(study)}\n", style="dim")
        return
    found = study.finals
    yield Text(f"finals {found.study}: {_progress(study, found)}", style="bold")
    yield Fitted(
        [
            Column("rank", [str(rank) for rank in range(1, len(found.finalists) + 1)]),
            Column("trial", [str(one.trial) for one in found.finalists]),
            Column(f"mean {study.metric} %", [mean_in_percent(one) for one in found.finalists]),
            Column("seeds", [str(len(one.scores)) for one in found.finalists], rank=1),
            Column("single run %", [percent(one.searched) for one in found.finalists], rank=2),
            Column("single run - mean", [_optimism(one) for one in found.finalists], rank=3),
        ]
    )
    yield Text("")


def one_run(study: StudyRecord) -> str:
    """What to type so that the best of the study no longer rests on one run."""
    return f"the best rests on one run; `optbench finals {shlex.quote(study.name)}` chooses it on several seeds"


def _progress(study: StudyRecord, found: FinalsRecord) -> str:
    if found.done:
        return f"done, {found.total} trials"
    resume = f"`optbench resume {shlex.quote(study.name)}` carries on"
    return f"{found.finished}/{found.total} trials, so its best still rests on one run; {resume}"


def _optimism(one: Finalist) -> str:
    return NOTHING if one.optimism is None else f"{100 * one.optimism:+.2f}"
