"""The one door to the database: engine.py opens it, ledger.py writes what a sweep does, records.py reads it back."""

from optbench.storage.engine import Storage, check, open_storage
from optbench.storage.ledger import STATES, Claim, Ledger, open_study
from optbench.storage.records import COUNTED, StudyRecord, TrialRecord, best_trials, curve, find_study, studies, trials

__all__ = [
    "COUNTED",
    "STATES",
    "Claim",
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
    "studies",
    "trials",
]
