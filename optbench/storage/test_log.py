"""The log of every look at the test images: it can be counted, and nothing takes a look back."""

from collections import Counter

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from optbench.storage.engine import Storage
from optbench.storage.schema import test_evaluations
from optbench.storage.workers import clock


def log_evaluation(session: Session, study: str, trial: int, by: str) -> None:
    """Note that the test images were opened for a trial, by a "sweep" or a "replay"."""
    session.execute(insert(test_evaluations).values(study=study, trial=trial, by=by, opened=clock(session)))


def count_evaluations(storage: Storage) -> Counter[str]:
    """How often the test images were opened, by study name; studies that were deleted since are among them."""
    return storage.read(lambda session: Counter(session.scalars(select(test_evaluations.c.study))))


def log_replay(storage: Storage, study: str, trial: int) -> None:
    """Note that a trial was scored on the test images again."""
    storage.write(lambda session: log_evaluation(session, study, trial, "replay"))
