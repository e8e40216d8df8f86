"""A comparison of searches as a notebook uses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.api.study import Study, names_of, one_database, opened
from optbench.defaults import EQUAL
from optbench.errors import DefinitionError

if TYPE_CHECKING:
    from optbench.comparison.arms import Comparison as Collected
    from optbench.comparison.rows import Row
    from optbench.comparison.verdict import Pair


@dataclass(frozen=True)
class Comparison:
    """The comparison of two or more searches: a verdict for each pair, remarks, and all numbers.

    `equal` is the difference in percentage points that counts as equal.
    """

    collected: "Collected"
    rows: "Sequence[Row]"
    pairs: "Sequence[Pair]"
    equal: float

    @property
    def sentences(self) -> list[str]:
        """The verdicts, what tuning gained, then the remarks, one sentence each."""
        from optbench.comparison.remarks import remarks
        from optbench.comparison.rows import gains

        unfair = [f"not a fair comparison: {difference}" for difference in self.collected.differences]
        concluded = [pair.sentence for pair in self.pairs] + [gain.sentence for gain in gains(self.rows)]
        return [*unfair, *concluded, *remarks(self.collected)]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data with stable keys, as `optbench compare --json` prints it."""
        from optbench.comparison.plain import as_plain

        return as_plain(self.collected, self.rows, self.pairs, self.equal)

    def save(self, path: str | Path) -> Path:
        """The path of the report, after writing it as one HTML page that works offline. Raises OutputError."""
        from optbench.files import check_page, write
        from optbench.report.page import report

        check_page(Path(path))
        write(report(self.collected, self.rows, self.pairs).encode(), Path(path))
        return Path(path)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)

    def _repr_html_(self) -> str:
        from optbench.comparison.rows import interval

        head = "".join(f"<th>{name}</th>" for name in ("search", "trials", "default %", "paper %", "tuned %"))
        body = "".join(
            f"<tr><td>{escape(row.arm.name)}</td><td>{row.arm.trials}</td>"
            + "".join(f"<td>{interval(found)}</td>" for found in (row.default, row.paper, row.tuned))
            + "</tr>"
            for row in self.rows
        )
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{sentences}"


def compare(
    *studies: Study | str, storage: str | None = None, equal: float = EQUAL, anyway: bool = False
) -> Comparison:
    """The comparison of the named searches, or of all that compare with the newest one.

    `equal` is the difference in percentage points that counts as equal. Searches that
    differ in more than optimizer and space are compared only if `anyway` is true. The database is only read.

    Raises DefinitionError or StudyError, which says what cannot be compared and why.
    """
    from optbench.comparison.collect import collect
    from optbench.comparison.rows import rows
    from optbench.comparison.verdict import pairs

    if not 0 < equal < 100:
        raise DefinitionError(f"equal = {equal:g}; expected percentage points between 0 and 100")
    names = names_of(studies)
    with opened(one_database(studies, storage)) as database:
        collected = collect(database, names, anyway)
    return Comparison(collected, rows(collected), pairs(collected.arms, equal), equal)
