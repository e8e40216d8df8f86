"""The names of every attribute that optbench writes to Optuna's studies and trials."""

import enum


class StudyAttribute(enum.StrEnum):
    """User attributes of a study. Those from STATE on are a summary for the dashboard, and nothing reads them back."""

    DEFINITION = "definition"
    FINGERPRINT = "fingerprint"
    VERSIONS = "versions"
    TRIALS = "trials"  # the total
    OPTIMIZER = "optimizer"
    SWEEP = "sweep"  # the sweep's name
    ORIGIN = "origin"  # of a confirmation: the study whose configurations it trains again
    ORIGIN_TOKEN = "origin_token"  # the token of that study, which stays when it is renamed
    REPEAT_OF = "repeat_of"  # of NAME/1 to NAME/R: the name that they share
    STATE = "state"
    FINISHED = "finished"
    BY_STATE = "by state"
    BEST = "best"
    EPOCHS_CONSUMED = "epochs consumed"
    VERDICT = "verdict"


class StudySystemAttribute(enum.StrEnum):
    """System attributes of a study."""

    TOKEN = "optbench:token"  # tells a study from another one that got its id later
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
    NUMERICS = "numerics"  # the version of the trainer's arithmetic; a trial without it has version 1
    LABEL = "label"
    SOURCE_TRIAL = "source_trial"  # of a confirmation's trial: the number of the search's trial that it trains again
    EPOCHS = "epochs"
    DIVERGED = "diverged"
    REASON = "reason"


class TrialSystemAttribute(enum.StrEnum):
    """System attributes of a trial."""

    AUDIT = "optbench:audit"  # the epoch after which it would have been pruned, had it not been chosen to run on
    FIXED_PARAMS = "fixed_params"  # Optuna's: parameters that no sampler may change


RUNG = "completed_rung_"
"""What the names of system attributes begin with in which Optuna's successive halving keeps the rungs of a trial."""
