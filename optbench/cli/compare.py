"""The commands that judge: compare on the terminal, report as a page. Neither loads TensorFlow."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from optbench.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    StorageUrl,
    Studies,
    app,
    complete_study,
    opened,
    place,
    refresh,
)
from optbench.cli.output import console, print_json
from optbench.errors import DefinitionError

if TYPE_CHECKING:
    from optbench.analysis.arms import Comparison

Equal = Annotated[
    float, typer.Option("--equal", metavar="POINTS", help="The difference in percentage points that counts as equal.")
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Compare what differs in more than optimizer and space.")]


@app.command()
def compare(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY...]", help="Searches. [default: all that compare]", autocompletion=complete_study
        ),
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    equal: Equal = 0.1,
    anyway: Anyway = False,
    as_json: AsJson = False,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="Write the page, too.")] = None,
) -> None:
    """Say which optimizer is better, and how sure that is. Example: optbench compare adadelta adam"""
    from optbench.analysis.collect import collect
    from optbench.analysis.remarks import remarks
    from optbench.analysis.report import plots
    from optbench.analysis.verdict import as_plain, pairs, rows
    from optbench.cli import tables

    _check(equal)
    with opened(storage) as storage_:
        comparison = collect(storage_, studies or [], anyway)
        found, verdicts = rows(comparison), pairs(comparison.arms, equal)
        if as_json:
            print_json(as_plain(comparison, found, verdicts, equal))
        else:
            console.print(tables.arms(found))
            for difference in comparison.differences:
                console.print(Text(f"not a fair comparison: {difference}", style="red"))
            for sentence in [*(pair.sentence for pair in verdicts), *remarks(comparison, place(storage))]:
                console.print(sentence, markup=False, soft_wrap=True)
        if report is not None:
            _write(comparison, report, equal)
            print(f"the page is in {report}", file=sys.stderr)
        figures = plots(comparison, found, verdicts)
        for arm in comparison.arms:
            said = [pair.sentence for pair in verdicts if arm in (pair.a, pair.b)]
            refresh(storage_, arm.source.study.name, said or None, figures)


@app.command()
def report(
    studies: Studies,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    equal: Equal = 0.1,
    anyway: Anyway = False,
) -> None:
    """Write the comparison as a page that works offline. Example: optbench report adadelta adam -o report.html"""
    from optbench.analysis.collect import collect

    _check(equal)
    with opened(storage) as storage_:
        _write(collect(storage_, studies, anyway), output, equal)
    console.print(f"the page is in {output}", markup=False, soft_wrap=True)


def _write(comparison: "Comparison", path: Path, equal: float) -> None:
    from optbench.analysis.report import report as make
    from optbench.analysis.verdict import pairs, rows
    from optbench.files import write

    write(make(comparison, rows(comparison), pairs(comparison.arms, equal)).encode(), path)


def _check(equal: float) -> None:
    if not 0 < equal < 100:
        raise DefinitionError(f"--equal {equal:g}; expected percentage points between 0 and 100")
