"""The commands that maintain databases: backup, upgrade, doctor, rename, copy, delete. None loads TensorFlow."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, AsJson, StorageUrl, StudyName, app, opened
from optbench.cli.output import console, print_json
from optbench.errors import StudyError, counted
from optbench.exits import ExitCode


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy: a file that does not exist yet.")],
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Copy an SQLite database, even while sweeps write to it. Example: optbench backup monday.db"""
    from optbench.storage.upkeep import backup as copy

    size = copy(storage, file)
    console.print(f"{file} is a copy of the database ({size:,} bytes)", markup=False, soft_wrap=True)


@app.command()
def upgrade(
    storage: StorageUrl = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Upgrade a database of an older optbench or Optuna. Example: optbench upgrade --yes"""
    from optbench.storage import check, shown
    from optbench.storage.upgrade import upgrade as upgrade_tables

    url = check(storage)
    if url.get_backend_name() != "sqlite":
        _ask(f"upgrade the tables of {shown(url)}? Make a dump of it first", yes)
    logging.getLogger().addHandler(logging.NullHandler())  # else alembic would log to the terminal
    done, copy = upgrade_tables(storage)
    kept = f"; a copy of the old database is {copy}" if copy else ""
    console.print(f"{shown(url)} {done}{kept}", markup=False, soft_wrap=True)


@app.command()
def doctor(storage: StorageUrl = DEFAULT_STORAGE, as_json: AsJson = False) -> None:
    """Find problems in a database; the exit code is 1 if there are any. Example: optbench doctor --json"""
    from optbench.storage import shown, studies
    from optbench.storage.doctor import examine

    with opened(storage, read_only=True) as storage_:
        found = examine(storage_)
        summary = counted(len(found), "problem")
        if not found:
            summary = f"{counted(len(studies(storage_)), 'study', 'studies')}, no problems"
    if as_json:
        print_json([vars(finding) for finding in found])
    else:
        for finding in found:
            where = f"study {finding.study}: " if finding.study else ""
            console.print(f"{where}{finding.what}", markup=False, soft_wrap=True)
        console.print(f"{shown(storage_.url)}: {summary}", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(ExitCode.DIFFERS)


@app.command()
def rename(
    study: StudyName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Give a study another name; confirmations and finals stay with it. Example: optbench rename quickstart first"""
    from optbench.storage import find_study, rename_study

    with opened(storage) as storage_:
        rename_study(storage_, find_study(storage_, study).study_id, new)
    console.print(f"study {study!r} is now {new!r}", markup=False)


@app.command()
def copy(
    study: StudyName,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The target database; made if there is none.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The copy's name. [default: the same]")
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
) -> None:
    """Copy a study, its confirmations and finals to a database. Example: optbench copy quickstart --to results.db"""
    from optbench.definition import check_study_name
    from optbench.storage import find_study, open_storage, shown
    from optbench.storage.copy import copy_study

    with opened(storage, read_only=True) as storage_:
        record = find_study(storage_, study)
        if name is not None:
            check_study_name(name, "--as")
        target = open_storage(to, create=True)
        try:
            names = copy_study(storage_, record, target, name or study)
        finally:
            target.close()
    copied = ", ".join(map(repr, names))
    console.print(f"{shown(target.url)} has {copied}", markup=False, soft_wrap=True)


@app.command()
def delete(
    study: StudyName,
    storage: StorageUrl = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also allow to delete the baseline study.")] = False,
) -> None:
    """Delete a study with its trials and curves permanently. Example: optbench delete quickstart"""
    from optbench.cli.tables import counts
    from optbench.service.artifacts import remove_all
    from optbench.storage import find_study, studies
    from optbench.storage.upkeep import check_deletable, delete_study

    with opened(storage) as storage_:
        record = find_study(storage_, study)
        sweep = record.sweep.name if record.sweep else None
        if "baseline" in (study, sweep) and not force:
            raise StudyError(
                f"study {study!r} is the baseline that others are compared with; type --force to delete it"
            )
        _ask(f"{counts(record)}. Delete it permanently?", yes)
        check_deletable(storage_, record.study_id, study)
        remove_all(storage_, record)
        delete_study(storage_, record.study_id, study)
        derived = [other for other in studies(storage_) if other.derives_from(record)]
    console.print(f"study {study!r} is deleted", markup=False)
    for other in derived:
        what = "confirmation" if other.confirms(record) else "finals"
        exist = "still exists" if other.confirms(record) else "still exist"
        console.print(f"its {what} {other.name!r} {exist}", markup=False)


def _ask(question: str, yes: bool) -> None:
    """Exit unless the user answers yes. Raises StudyError if standard input is not a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise StudyError(f"{question} Standard input is not a terminal, so nobody can answer; type --yes to agree")
    if not typer.confirm(question):
        console.print("nothing was changed")
        raise typer.Exit
