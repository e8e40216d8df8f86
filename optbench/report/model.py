"""The parts of the report's page, as data that the template renders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A Plotly figure. Screen readers read the caption in place of the drawing."""

    caption: str
    plot: "Plot"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: its title, then warnings (red), verdicts (bold), text, figures and tables.

    `small` figures stand side by side where there is room.
    """

    title: str
    text: Sequence[str] = ()
    warnings: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    small: bool = False

    @property
    def anchor(self) -> str:
        """The section's name in links."""
        return "-".join(re.findall(r"\w+", self.title.lower()))


@dataclass(frozen=True, kw_only=True)
class StudyDetails:
    """How one study was made: facts by name, and its definition as TOML."""

    name: str
    facts: Mapping[str, str]
    definition: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole report. `facts` stand below the title; notes, scores and details in the last section."""

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    notes: Sequence[str]
    scores: Sequence[Table]
    details: Sequence[StudyDetails]
