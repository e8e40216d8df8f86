"""What `optbench export --to` does: writes a study for MLflow or TensorBoard, and says what was new."""

import shlex

from optbench.cli.options import opened, place
from optbench.cli.output import console
from optbench.errors import DefinitionError, counted


def track(study: str, storage: str, program: str, where: str, alone: bool) -> None:
    """Write what is new of the study to the program's place. Raises DefinitionError if other options are given."""
    from optbench.exports.tracking import check_place, experiment_of, export_to
    from optbench.storage import find_study

    if not alone:
        raise DefinitionError(
            f"--to {program} reads the whole study from its database; expected --storage and no other option with it"
        )
    destination = check_place(program, where)
    with opened(storage, read_only=True) as storage_:
        experiment = experiment_of(storage_, find_study(storage_, study))
    written = export_to(destination, where, experiment)
    new = f"{written.created} of them new; {counted(written.epochs, 'new epoch')}"
    _print(f"{study}: {counted(written.runs, 'run')} in {written.where}, {new}")
    for other in experiment.derived:
        command = f"optbench export {shlex.quote(other)} --to {program} {shlex.quote(where)}{place(storage)}"
        _print(f"{other} is a study of its own: {command}")


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
