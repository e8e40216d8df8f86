"""The one door to the database.

opening.py and check.py open it, engine.py is an open one; ledger.py and workers.py write what a sweep does, follow.py
and records.py read it back; upkeep.py copies, upgrades and deletes, doctor.py looks for what cannot be right.
"""

from optbench.storage.check import check
from optbench.storage.engine import Storage, shown
from optbench.storage.follow import Follower
from optbench.storage.ledger import Claim, Ledger, open_study, set_total
from optbench.storage.opening import open_storage
from optbench.storage.records import (
    COUNTED,
    StudyRecord,
    TrialRecord,
    best_trials,
    curve,
    find_study,
    studies,
    trial_record,
    trials,
)
from optbench.storage.rows import STATES
from optbench.storage.workers import GRACE

__all__ = [
    "COUNTED",
    "GRACE",
    "STATES",
    "Claim",
    "Follower",
    "Ledger",
    "Storage",
    "StudyRecord",
    "TrialRecord",
    "best_trials",
    "check",
    "curve",
    "find_study",
    "open_storage",
    "open_study",
    "set_total",
    "shown",
    "studies",
    "trial_record",
    "trials",
]
