"""Where `--to` exports a study, and what is needed for that."""

from enum import StrEnum
from importlib.util import find_spec

from optbench.errors import DefinitionError, OutputError, nearest
from optbench.exports.tracking.records import Experiment, Written


class Destination(StrEnum):
    """The programs that track experiments. Each has an extra of the same name."""

    MLFLOW = "mlflow"
    TENSORBOARD = "tensorboard"


def check_place(to: str, place: str) -> Destination:
    """The program of that name, after checking what can be checked before the study is read.

    Raises DefinitionError for an unknown program or a place that it cannot have, OutputError if its extra is missing.
    """
    if to not in list(Destination):
        raise DefinitionError(f"--to {to}: no such program; {nearest(to, Destination)}")
    destination = Destination(to)
    if find_spec(to) is None:
        raise OutputError(f"--to {to}: {to} is not installed; type `pip install 'optbench[{to}]'`")
    if destination is Destination.MLFLOW:
        from optbench.exports.tracking.mlflow_client import check_uri

        check_uri(place)
    elif not place.strip():
        raise DefinitionError("--to tensorboard: the folder has no name; expected, for example, runs")
    return destination


def export_to(destination: Destination, place: str, experiment: Experiment) -> Written:
    """Write what is new of the experiment to the program's place. Raises OutputError, StudyError."""
    if destination is Destination.MLFLOW:
        from optbench.exports.tracking.to_mlflow import write_experiment

        return write_experiment(place, experiment)
    from optbench.exports.tracking.to_tensorboard import write_folder

    return write_folder(place, experiment)
