"""The commands that compare searches: compare in the terminal, report as a page. Neither loads TensorFlow."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from optbench.cli.options import (
    DEFAULT_STORAGE,
    AsJson,
    StorageUrl,
    app,
    complete_study,
    opened,
    place,
    refresh,
)
from optbench.cli.output import console, print_json
from optbench.defaults import EQUAL
from optbench.errors import DefinitionError, StudyError
from optbench.files import check_page, check_writable

if TYPE_CHECKING:
    from optbench.comparison.arms import Comparison
    from optbench.comparison.rows import Row
    from optbench.comparison.verdict import Pair
    from optbench.storage import Storage

Equal = Annotated[
    float, typer.Option("--equal", metavar="POINTS", help="The difference in percentage points that counts as equal.")
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Also compare searches that differ in more than optimizer and space.")
]
REPORT = Path("report.html")


@app.command()
def compare(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY...]",
            help="Searches. [default: the largest group that can be compared]",
            autocompletion=complete_study,
        ),
    ] = None,
    storage: StorageUrl = DEFAULT_STORAGE,
    equal: Equal = EQUAL,
    anyway: Anyway = False,
    as_json: AsJson = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Also write the report to this file.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Also show the verdict and its figures in the dashboard.")
    ] = False,
) -> None:
    """Say which optimizer is better, and how certain that is. Example: optbench compare adadelta adam"""
    from optbench.comparison.collect import collect
    from optbench.comparison.rows import rows
    from optbench.comparison.verdict import pairs

    _check(equal, report)
    with opened(storage, read_only=not publish) as storage_:
        comparison = collect(storage_, studies or [], anyway, with_curves=publish or report is not None)
        if publish and comparison.differences:
            raise StudyError(
                f"--publish shows only fair comparisons, and {comparison.differences[0]}; leave --publish out"
            )
        found, verdicts = rows(comparison), pairs(comparison.arms, equal, place(storage))
        _print(comparison, found, verdicts, equal, place(storage), as_json)
        if report is not None:
            _write(comparison, report, verdicts)
            print(f"the page is in {report}", file=sys.stderr)
        if publish:
            _publish(storage_, comparison, found, verdicts)


@app.command()
def report(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY...]",
            help="Searches. [default: the largest group that can be compared]",
            autocompletion=complete_study,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="The page.")] = REPORT,
    storage: StorageUrl = DEFAULT_STORAGE,
    equal: Equal = EQUAL,
    anyway: Anyway = False,
) -> None:
    """Write the comparison as a page that works offline. Example: optbench report adadelta adam -o report.html"""
    from optbench.comparison.collect import collect
    from optbench.comparison.verdict import pairs

    _check(equal, output)
    with opened(storage, read_only=True) as storage_:
        comparison = collect(storage_, studies or [], anyway)
        _write(comparison, output, pairs(comparison.arms, equal, place(storage)))
    console.print(f"the page is in {output}", markup=False, soft_wrap=True)


def _print(
    comparison: "Comparison",
    found: "Sequence[Row]",
    verdicts: "Sequence[Pair]",
    equal: float,
    where: str,
    as_json: bool,
) -> None:
    """Print the comparison. `where` is the option that a suggested command needs to find the database."""
    from optbench.cli import tables
    from optbench.comparison.plain import as_plain
    from optbench.comparison.remarks import remarks
    from optbench.comparison.rows import gains

    if as_json:
        print_json(as_plain(comparison, found, verdicts, equal, where))
        return
    console.print(tables.arms(found))
    for difference in comparison.differences:
        console.print(Text(f"not a fair comparison: {difference}", style="red"))
    concluded = [pair.sentence for pair in verdicts] + [gain.sentence for gain in gains(found)]
    for sentence in [*concluded, *remarks(comparison, where)]:
        console.print(sentence, markup=False, soft_wrap=True)


def _publish(storage: "Storage", comparison: "Comparison", found: "Sequence[Row]", verdicts: "Sequence[Pair]") -> None:
    """Write the verdict and the figures to every compared study's page in the dashboard."""
    from optbench.report.page import comparison_plots

    figures = comparison_plots(comparison, found)
    for arm in comparison.arms:
        sentences = [pair.sentence for pair in verdicts if arm in (pair.a, pair.b)]
        refresh(storage, arm.source.study.name, sentences or None, figures)


def _write(comparison: "Comparison", path: Path, verdicts: "Sequence[Pair]") -> None:
    from optbench.comparison.rows import rows
    from optbench.files import write
    from optbench.report.page import report as make

    write(make(comparison, rows(comparison), verdicts).encode(), path)


def _check(equal: float, page: Path | None) -> None:
    if not 0 < equal < 100:
        raise DefinitionError(f"--equal {equal:g}; expected percentage points between 0 and 100")
    if page is not None:
        check_page(page)
        check_writable(page)
