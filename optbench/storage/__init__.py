"""The one door to the database.

opening.py and check.py open it, engine.py is an open one; ledger.py and workers.py write what a sweep does, follow.py,
study_records.py and trial_records.py read it back; upkeep.py copies, upgrades and deletes, doctor.py looks for damage.
"""

from optbench.storage.check import check
from optbench.storage.engine import Storage, one_line, shown
from optbench.storage.follow import Follower
from optbench.storage.importance import importances
from optbench.storage.ledger import Claim, Ledger, open_study, set_total
from optbench.storage.looks import count_openings, log_replay
from optbench.storage.opening import open_storage
from optbench.storage.rows import STATES
from optbench.storage.schema import AUDIT, TOKEN
from optbench.storage.study_records import COUNTED, StudyRecord, find_study, glance, lacks_best, studies
from optbench.storage.trial_records import TrialRecord, best_trials, curve, curves, distinct, trial_record, trials
from optbench.storage.workers import GRACE

__all__ = [
    "AUDIT",
    "COUNTED",
    "GRACE",
    "STATES",
    "TOKEN",
    "Claim",
    "Follower",
    "Ledger",
    "Storage",
    "StudyRecord",
    "TrialRecord",
    "best_trials",
    "check",
    "count_openings",
    "curve",
    "curves",
    "distinct",
    "find_study",
    "glance",
    "importances",
    "lacks_best",
    "log_replay",
    "one_line",
    "open_storage",
    "open_study",
    "set_total",
    "shown",
    "studies",
    "trial_record",
    "trials",
]
