"""The command that confirms searches on fresh seeds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, DataDir, StorageUrl, Studies, app, opened
from optbench.cli.output import console
from optbench.cli.streams import print_error

if TYPE_CHECKING:
    from optbench.definition.sweep import Sweep
    from optbench.storage import StudyRecord


@app.command()
def confirm(
    studies: Studies,
    storage: StorageUrl = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option(metavar="N", help="How many of the best configurations to train.")] = 3,
    seeds: Annotated[int, typer.Option(metavar="N", help="How many fresh seeds to use; all studies share them.")] = 10,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs. [default: the search's]")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 2 per core]")] = None,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes that share the study and the cores.")] = 1,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train the best configurations again, on fresh seeds, and test them. Example: optbench confirm adadelta adam"""
    from optbench.cli.running import print_studies, run_all
    from optbench.comparison.confirmation import notes
    from optbench.launchers.requests import Request
    from optbench.scheduler.states import Role
    from optbench.worker.bounds import check_counts
    from optbench.worker.creation import Relations
    from optbench.worker.session import Options

    check_counts(flags=True, top=top, seeds=seeds, epochs=epochs, lanes=lanes, workers=workers)
    console.stderr = as_json
    requests = []
    for study, sweep, name in _confirmations(storage, studies, top, seeds, epochs):
        if study.unfinished:
            print_error(study.unfinished)
        for note in notes(sweep, study.name, top, seeds):
            print_error(note)
        number = len(sweep.fixed) // seeds
        console.print(f"{study.name}: the best {number} on {seeds} seeds each, as {name}", markup=False)
        requests.append(
            Request(
                sweep=replace(sweep, lanes=lanes), study=name, storage=storage, workers=workers,
                options=Options(lanes=lanes, data_dir=data_dir),
                relations=Relations(role=Role.CONFIRMATION, origin=study.name),
            )
        )  # fmt: skip
    ran = run_all(requests)
    if as_json:
        print_studies(storage, ran)


def _confirmations(
    url: str, names: Sequence[str], top: int, seeds: int, epochs: int | None
) -> "list[tuple[StudyRecord, Sweep, str]]":
    """Each search, with the sweep that confirms it and the name of that sweep's study."""
    from optbench.comparison.confirmation import confirmation, place
    from optbench.storage import find_study, trials
    from optbench.storage import studies as every

    with opened(url) as storage:
        found = [find_study(storage, name) for name in dict.fromkeys(names)]
        sweeps = [confirmation(study, trials(storage, study.study_id), top, seeds, epochs) for study in found]
        listed = every(storage)
        return [(study, sweep, place(sweep, study, listed)) for study, sweep in zip(found, sweeps, strict=True)]
