"""The commands about data sets: what a sweep would see, and preparing one. They load TensorFlow where it is needed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.choices import Missing, TrainerName
from optbench.cli.options import AsJson, DataDir, data_app
from optbench.cli.output import console, print_json
from optbench.errors import DataError

if TYPE_CHECKING:
    from optbench.data import Examples, Split
    from optbench.definition.data import DataSource

VALIDATION = 0.2  # the fraction to validate on unless it is given


@data_app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A file, the name of a data set, or a sweep file.")],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict.")] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out; repeatable.")] = None,
    missing: Annotated[Missing | None, typer.Option(help="What becomes of missing values.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what a sweep would see of a data set. Example: optbench data show train.csv --target species"""
    from optbench.cli.tables.datasets import dataset
    from optbench.data import load, load_test

    data, seed = _source(what, target, drop or [], missing)
    _set_up(data)
    split, test = load(data, seed, data_dir), load_test(data, data_dir)
    if as_json:
        print_json(_plain(data, split, test))
    else:
        for part in dataset(data, split, test):
            console.print(part)


@data_app.command()
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A data set of tensorflow-datasets.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="A folder with the original files; nothing is downloaded."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Prepare a data set once. Example: optbench data prepare mnist --from ~/mnist"""
    from optbench.data import check_source
    from optbench.data import prepare as make
    from optbench.worker.loading import load_tensorflow

    check_source(name, source)
    load_tensorflow(TrainerName.LANES)
    console.print(f"{name} is in {make(name, source, data_dir)}", markup=False, soft_wrap=True)


def _source(what: str, target: str | None, drop: list[str], missing: Missing | None) -> "tuple[DataSource, int]":
    """The data that a file, a name or a sweep means, and the seed of its split."""
    from optbench.definition import load as load_sweep
    from optbench.definition.data import ENDINGS, DataSource, TableFile, ending

    options = {"--target": target, "--drop": drop, "--missing": missing}
    given = [name for name, value in options.items() if value]
    if ending(what) in ENDINGS:
        file = TableFile(str(Path(what).absolute()), target=target, drop=tuple(drop), missing=missing)
        return DataSource.of_file(file, validation=VALIDATION), 0
    if Path(what).is_file() and Path(what).suffix != ".toml":
        raise DataError(
            f"{what} is a file of another kind; expected one that ends with {', '.join((*ENDINGS, '.toml'))}"
        )
    if given:
        raise DataError(f"{given[0]} is for files that end with {', '.join(ENDINGS)}, not for {what!r}; leave it out")
    if Path(what).suffix == ".toml":
        sweep = load_sweep(what, {})
        return sweep.data, sweep.seed
    return DataSource(name=what, validation=VALIDATION), 0


def _set_up(data: "DataSource") -> None:
    """Set TensorFlow up if the data is read with it."""
    from optbench.data.splits import needs_tensorflow
    from optbench.worker.loading import load_tensorflow

    if needs_tensorflow(data):
        load_tensorflow(TrainerName.LANES)


def _plain(data: "DataSource", split: "Split", test: "Examples") -> dict[str, object]:
    from optbench.cli.tables.datasets import counts, memory

    return {
        "data": data.identity,
        **replace(split.facts, test=len(test)).plain(),
        "scale": split.scale,
        "stratified": split.stratified,
        "counts": counts(split, test),
        "bytes": memory(split, test),
        "digests": dict(split.digests),
    }
