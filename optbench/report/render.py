"""Renders a page as one HTML file that loads nothing and suits light and dark screens, phones and paper."""

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from optbench.report.model import Page, Section


def render(page: Page) -> str:
    """The page as HTML."""
    sections = list(zip(_anchors(page.sections), page.sections, strict=True))
    plots = {
        f"{anchor}-figure-{number}": json.loads(figure.plot.to_json())
        for anchor, section in sections
        for number, figure in enumerate(section.figures, start=1)
    }
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            sections=sections,
            plots=plots,
            style=_asset("page.css"),
            script=_asset("page.js"),
            plotly=_plotly(),
        )
    )


def _anchors(sections: Sequence[Section]) -> list[str]:
    """The anchor of each section; titles that differ only in punctuation are numbered."""
    seen: Counter[str] = Counter()
    found = []
    for section in sections:
        seen[section.anchor] += 1
        number = seen[section.anchor]
        found.append(section.anchor if number == 1 else f"{section.anchor}-{number}")
    return found


def _prose(text: str) -> Markup:
    """A text whose commands, between backticks, are set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("optbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["prose"] = _prose
    return made


@cache
def _plotly() -> str:
    """Plotly's script, compressed to two fifths of its size; the page unpacks it."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _asset(name: str) -> Markup:
    """A style sheet or script of ours, which is put into the page unescaped."""
    return Markup((files("optbench.report") / "templates" / name).read_text(encoding="utf-8"))
