"""Studies, trials, replays and comparisons as tables for a terminal, and as JSON with stable keys."""

from optbench.cli.tables.comparisons import arms
from optbench.cli.tables.finals import finals
from optbench.cli.tables.plain import replay_json
from optbench.cli.tables.queue import event, pool, queue
from optbench.cli.tables.replays import agreement, curves
from optbench.cli.tables.studies import best, counts, fixed, studies
from optbench.cli.tables.trials import show
from optbench.exports.records import event_json, pool_json, queue_json, show_json, study_json, trial_json

__all__ = [
    "agreement",
    "arms",
    "best",
    "counts",
    "curves",
    "event",
    "event_json",
    "finals",
    "fixed",
    "pool",
    "pool_json",
    "queue",
    "queue_json",
    "replay_json",
    "show",
    "show_json",
    "studies",
    "study_json",
    "trial_json",
]
