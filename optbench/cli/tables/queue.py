"""The queue, the pool and the log: as tables for a terminal."""

from collections.abc import Sequence

from optbench.cli.tables.fitting import Column, Fitted
from optbench.cli.tables.words import NOTHING, score
from optbench.exports.records import state_of
from optbench.storage.candidates import Candidate
from optbench.storage.event_log import EventRecord
from optbench.storage.pool import PoolRecord


def queue(found: Sequence[Candidate]) -> Fitted:
    """One row per study, in the order in which workers take them."""
    places = [one.place for one in found]
    columns = [
        Column("study", [one.study for one in places], text=True),
        Column("state", [state_of(one.record, one) for one in found]),
        Column("priority", [str(one.priority) for one in places]),
        Column("trials", [f"{one.record.finished}/{one.record.total or '?'}" for one in found]),
        Column("workers", [_workers(one) for one in found]),
        Column("best", [score(one.record.metric, one.record.best) for one in found], rank=1),
        Column("label", [one.label or NOTHING for one in places], rank=4, text=True),
        Column("needs", [one.needs or NOTHING for one in places], rank=5),
        Column("owner", [one.owner for one in places], rank=2, text=True),
        Column("submitted (UTC)", [f"{one.submitted:%m-%d %H:%M}" for one in places], rank=3),
    ]
    return Fitted(columns)


def pool(found: Sequence[PoolRecord]) -> Fitted:
    """One row per worker of the pool."""
    columns = [
        Column("worker", [one.name for one in found], text=True),
        Column("state", [one.state for one in found]),
        Column("study", [one.study or NOTHING for one in found], text=True),
        Column("cores", [str(one.cores) for one in found], rank=2),
        Column("GPU", ["yes" if one.gpu else "no" for one in found], rank=5),
        Column("label", [one.label or NOTHING for one in found], rank=3, text=True),
        Column("started (UTC)", [f"{one.started:%m-%d %H:%M}" for one in found], rank=4),
        Column("last heartbeat", [f"{max(one.heartbeat_age, 0):.0f} s ago" for one in found], rank=1),
    ]
    return Fitted(columns)


def event(one: EventRecord) -> str:
    """An event in one line."""
    about = " ".join(filter(None, (one.study, f"({one.worker})" if one.worker else None)))
    return f"{one.at:%Y-%m-%d %H:%M:%S} {one.kind:14}  {about}{': ' if one.text else ''}{one.text}"


def _workers(one: Candidate) -> str:
    most = one.place.max_workers
    return str(one.workers) if most is None else f"{one.workers} of {most}"
