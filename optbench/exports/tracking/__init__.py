"""A study in programs that track experiments: the study as an experiment, its trials as runs, its epochs as steps."""

from optbench.exports.tracking.destination import Destination, check_place, export_to
from optbench.exports.tracking.records import Experiment, Written, experiment_of

__all__ = ["Destination", "Experiment", "Written", "check_place", "experiment_of", "export_to"]
