"""Fits a table into the width of a terminal without cutting numbers: omits columns or prints rows as blocks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

GAP = 2  # spaces between columns
NARROWEST_TEXT = 12  # characters; folded text is at least this wide


@dataclass(frozen=True)
class Column:
    """One column. Cells may be folded if `text` is true. The highest `rank` is omitted first, 0 never."""

    title: str
    cells: Sequence[str]
    rank: int = 0
    text: bool = False

    @property
    def width(self) -> int:
        """The width with the title on one line and no cell folded."""
        return max(cell_len(self.title), self._widest)

    @property
    def narrowest(self) -> int:
        """The smallest width that breaks no word of the title and, unless the column is text, no cell."""
        words = max(cell_len(word.rstrip()) for word in self._words)
        return max(words, min(self._widest, NARROWEST_TEXT) if self.text else self._widest)

    def heading(self, width: int) -> str:
        """The title, broken at spaces and underscores into lines of that width."""
        lines = [""]
        for word in self._words:
            if lines[-1] and cell_len((lines[-1] + word).rstrip()) > width:
                lines.append("")
            lines[-1] += word
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _words(self) -> list[str]:
        return re.findall(r"[^ _]+[ _]?", self.title) or [""]

    @property
    def _widest(self) -> int:
        return max((cell_len(cell) for cell in self.cells), default=0)


@dataclass(frozen=True)
class Fitted:
    """Columns that rich prints as a table, or as blocks of lines if even the columns of rank 0 are too wide."""

    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width
        shown = list(self.columns)
        while _room(shown) > width and any(column.rank for column in shown):
            shown.remove(max(reversed(shown), key=lambda column: column.rank))
        if _room(shown) <= width:
            yield _table(shown, width)
        else:
            shown = list(self.columns)
            yield _blocks(shown)
        if dropped := [column.title for column in self.columns if column not in shown]:
            yield Text(f"{width} columns are too narrow for: {', '.join(dropped)}; --json has everything", style="dim")


def _room(columns: Sequence[Column]) -> int:
    return sum(column.narrowest for column in columns) + GAP * (len(columns) - 1)


def _table(columns: Sequence[Column], width: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    spare = width - _room(columns)
    for column in columns:
        more = min(spare, column.width - column.narrowest)
        spare -= more
        wide = column.narrowest + more
        table.add_column(Text(column.heading(wide)), overflow="fold", min_width=wide, max_width=wide)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _blocks(columns: Sequence[Column]) -> Text:
    """Every row as lines `title: cell`, with an empty line between two rows."""
    rows = zip(*(column.cells for column in columns), strict=True)
    titles = [column.title for column in columns]
    return Text(
        "\n\n".join("\n".join(f"{title}: {cell}" for title, cell in zip(titles, row, strict=True)) for row in rows)
    )
