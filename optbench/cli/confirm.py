"""The command that confirms searches on fresh seeds."""

import sys
from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, DataDir, StorageUrl, Studies, app, check_counts, opened
from optbench.cli.output import console


@app.command()
def confirm(
    studies: Studies,
    storage: StorageUrl = DEFAULT_STORAGE,
    top: Annotated[int, typer.Option(metavar="N", help="How many configurations, the best by validation.")] = 3,
    seeds: Annotated[int, typer.Option(metavar="N", help="On how many fresh seeds; all studies share them.")] = 10,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs. [default: the search's]")] = None,
    lanes: Annotated[int | None, typer.Option(metavar="N", help="Trials side by side. [default: 2 per core]")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Train the best configurations again, on fresh seeds, and test them. Example: optbench confirm adadelta adam"""
    from dataclasses import replace

    from optbench.cli.running import Request, print_studies, run_here
    from optbench.confirm import confirmation, place
    from optbench.storage import HEARTBEAT_TIMEOUT, find_study, trials
    from optbench.storage import studies as every
    from optbench.study import RETRIES
    from optbench.worker.stop import Stop

    check_counts(top=(top, 1, 100), seeds=(seeds, 1, 200), epochs=(epochs, 1, 1_000_000), lanes=(lanes, 1, 256))
    with opened(storage) as storage_:
        found = [find_study(storage_, name) for name in dict.fromkeys(studies)]
        sweeps = [confirmation(s, trials(storage_, s.study_id), top, seeds, epochs) for s in found]
        names = [place(sweep, every(storage_)) for sweep in sweeps]
    console.stderr = as_json
    for warning in filter(None, (study.unfinished for study in found)):
        print(f"optbench: {warning}", file=sys.stderr)
    with Stop() as stop:
        for study, sweep, name in zip(found, sweeps, names, strict=True):
            console.print(
                f"{study.name}: the best {len(sweep.fixed) // seeds} on {seeds} seeds each, as {name}", markup=False
            )
            request = Request(
                given=name, overrides={}, sweep=replace(sweep, lanes=lanes), study=name, storage=storage,
                data_dir=data_dir, trainer="lanes", heartbeat_timeout=HEARTBEAT_TIMEOUT, retries=RETRIES,
                origin=study.name,
            )  # fmt: skip
            run_here(request, stop)
    if as_json:
        print_studies(storage, names)
