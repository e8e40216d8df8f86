"""Everything that reads or writes the database.

check.py and opening.py open a database; engine.py holds an open one. writer.py and workers.py write what a sweep does,
growth.py extends a list of fixed trials, and past.py keeps what a study starts from. study_reader.py, trial_records.py
and follow.py read. identity.py renames a study, copy.py copies one, upkeep.py deletes one and backs up a file,
upgrade.py upgrades the tables, and doctor.py finds what is wrong. optuna_private.py alone uses Optuna's private parts.
"""

from optbench.storage.check import check
from optbench.storage.engine import Storage, one_line, shown
from optbench.storage.facts import PENDING, complete_study
from optbench.storage.finals_records import FinalsRecord, write_plan
from optbench.storage.follow import Follower
from optbench.storage.growth import append_fixed, note_until_decided
from optbench.storage.identity import rename_study
from optbench.storage.opening import open_storage
from optbench.storage.past import past_attributes, past_trials
from optbench.storage.plain import optuna_study
from optbench.storage.study_reader import find_study, studies
from optbench.storage.study_records import (
    COUNTED,
    StudyRecord,
    UntilDecided,
    derived_name,
    glance,
    lacks_best,
    sweep_of,
)
from optbench.storage.test_log import count_evaluations, log_replay
from optbench.storage.totals import NewTotal, set_total
from optbench.storage.trial_records import (
    TrialRecord,
    best_first,
    best_trials,
    curve,
    curves,
    curves_of,
    distinct,
    trial_record,
    trials,
    trials_of,
    winner_first,
)
from optbench.storage.worker_records import WorkerRecord, study_workers
from optbench.storage.writer import Writer, open_study

__all__ = [
    "COUNTED",
    "PENDING",
    "FinalsRecord",
    "Follower",
    "NewTotal",
    "Storage",
    "StudyRecord",
    "TrialRecord",
    "UntilDecided",
    "WorkerRecord",
    "Writer",
    "append_fixed",
    "best_first",
    "best_trials",
    "check",
    "complete_study",
    "count_evaluations",
    "curve",
    "curves",
    "curves_of",
    "derived_name",
    "distinct",
    "find_study",
    "glance",
    "lacks_best",
    "log_replay",
    "note_until_decided",
    "one_line",
    "open_storage",
    "open_study",
    "optuna_study",
    "past_attributes",
    "past_trials",
    "rename_study",
    "set_total",
    "shown",
    "studies",
    "study_workers",
    "sweep_of",
    "trial_record",
    "trials",
    "trials_of",
    "winner_first",
    "write_plan",
]
