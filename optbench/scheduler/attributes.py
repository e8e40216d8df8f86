"""The names of all attributes that optbench writes to Optuna's studies and trials."""

import enum


class StudyAttribute(enum.StrEnum):
    """User attributes of a study. STATE and those after it are a summary for the dashboard, never read back."""

    DEFINITION = "definition"
    FINGERPRINT = "fingerprint"
    VERSIONS = "versions"
    DATASET = "dataset"  # its facts (see data/dataset.py); absent in studies of earlier versions
    TRIALS = "trials"  # the total
    OPTIMIZER = "optimizer"
    SWEEP = "sweep"  # the sweep's name
    ROLE = "role"  # a states.Role; absent in studies of earlier versions, where an ORIGIN means a confirmation
    ORIGIN = "origin"  # in a confirmation or finals: the search whose configurations it trains again
    ORIGIN_TOKEN = "origin_token"  # that study's token, which a rename does not change
    FINALS = "finals"  # in finals: their rounds and how many trials the search had (see scheduler/finals.py)
    UNTIL_DECIDED = "until_decided"  # in a confirmation whose seeds were added until decided: what was asked for
    REPEAT_OF = "repeat_of"  # in the repeats NAME/1 to NAME/R of a sweep: the NAME that they share
    OWNER = "owner"  # who made it
    TAGS = "tags"
    NOTE = "note"
    STATE = "state"
    FINISHED = "finished"
    BY_STATE = "by state"
    BEST = "best"
    EPOCHS_CONSUMED = "epochs consumed"
    VERDICT = "verdict"


class StudySystemAttribute(enum.StrEnum):
    """System attributes of a study."""

    TOKEN = "optbench:token"  # a study's identity, which neither a rename nor a reused id changes
    METRIC_NAMES = "study:metric_names"  # Optuna's


class TrialAttribute(enum.StrEnum):
    """User attributes of a trial. EPOCHS, DIVERGED and REASON are written when it ends."""

    SLOT = "slot"
    WORKER = "worker"
    OPTIMIZER = "optimizer"
    HYPERPARAMETERS = "hyperparameters"
    SEED = "seed"
    LANES = "lanes"
    TRAINER = "trainer"
    DEVICE = "device"
    THREADS = (
        "threads"  # that share an operation; None where nobody chose, and for trials of earlier versions, which had 1
    )
    XLA = "xla"  # whether XLA compiled the training; None if Keras decided
    NUMERICS = "numerics"  # the version of the trainer's arithmetic; a trial without it has version 1
    LABEL = "label"
    SOURCE_TRIAL = "source_trial"  # in a confirmation or finals: the number of the search's trial that it trains again
    EPOCHS = "epochs"
    DIVERGED = "diverged"
    REASON = "reason"


class TrialSystemAttribute(enum.StrEnum):
    """System attributes of a trial."""

    AUDIT = "optbench:audit"  # the epoch after which it would have been pruned, had the audit not let it run on
    PAST = "optbench:past"  # in memory only: a trial of another study, which the sampler knows and no pruner counts
    FIXED_PARAMS = "fixed_params"  # Optuna's: parameters that no sampler may change


START = "optbench:start:"
"""The beginning of the name of every system attribute that holds past trials which a study's sampler knows."""

RUNG = "completed_rung_"
"""The beginning of the name of every system attribute in which Optuna's successive halving keeps a trial's rungs."""
