"""One self-contained HTML page of sections: no request leaves it; light and dark, on a laptop, a phone and paper."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.offline import get_plotlyjs

STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --back: #ffffff; --faint: #666666; --line: #d0d0d0;
  --warn: #b00020; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --back: #16181c; --faint: #a0a0a0; --line: #3a3d44; --warn: #ff8a80; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto;
  max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
.warn { color: var(--warn); } .verdict { font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; color: var(--faint); }
.figure { width: 100%; height: 440px; }
.figure.small { height: 320px; } .grid { display: grid; gap: 1rem; }
.grid { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
@media print {
  :root { --text: #1b1b1b; --back: #ffffff; --faint: #666666; --line: #d0d0d0; --warn: #b00020; }
  h2 { break-after: avoid; } .figure { break-inside: avoid; } body { max-width: none; }
}
"""
SCRIPT = """
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.innerWidth < 600;
function draw(printing) {
  const css = getComputedStyle(document.documentElement);
  const text = printing ? "#1b1b1b" : css.getPropertyValue("--text").trim();
  const line = printing ? "#d0d0d0" : css.getPropertyValue("--line").trim();
  for (const [id, figure] of Object.entries(FIGURES)) {
    const layout = structuredClone(figure.layout);
    delete layout.height;
    layout.font = { color: text, size: narrow ? 11 : 13 };
    for (const key of Object.keys(layout).filter((name) => /^[xy]axis/.test(name)))
      Object.assign(layout[key], { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true });
    if (narrow) layout.legend = { orientation: "h", y: -0.3, font: { size: 10 } };
    const small = document.getElementById(id).classList.contains("small");
    if (small) layout.legend = { orientation: "h", y: 1.02, yanchor: "bottom" };
    if (small) layout.margin.t = 60;
    const bar = narrow || small ? false : "hover";
    Plotly.react(id, figure.data, layout, { responsive: true, displaylogo: false, displayModeBar: bar });
  }
}
draw(false);
dark.addEventListener("change", () => draw(false));
window.addEventListener("beforeprint", () => draw(true));
window.addEventListener("afterprint", () => draw(false));
"""


@dataclass(frozen=True)
class Section:
    """A title, sentences, figures (plotly) and tables (HTML); `warnings` come first, in red, then `verdicts`, in bold.

    `small` figures stand side by side where there is room.
    """

    title: str
    said: Sequence[str]
    figures: Sequence[Any] = ()
    tables: Sequence[str] = ()
    warnings: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    small: bool = False


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML; a wide one scrolls by itself."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def page(title: str, sections: Sequence[Section], details: str) -> str:
    """The page; `details` is a text that says how it was done, shown as it is."""
    figures: dict[str, Any] = {}
    parts = [_section(index, section, figures) for index, section in enumerate(sections)]
    drawn = json.dumps(figures).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
            f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>",
            *parts,
            f"<h2>How it was done</h2><pre>{html.escape(details)}</pre>",
            f"<script>{get_plotlyjs()}</script><script>const FIGURES = {drawn};{SCRIPT}</script></body></html>",
        ]
    )


def _section(index: int, section: Section, figures: dict[str, Any]) -> str:
    said = "".join(f"<p class=warn>{html.escape(text)}</p>" for text in section.warnings)
    said += "".join(f"<p class=verdict>{html.escape(text)}</p>" for text in section.verdicts)
    said += "".join(f"<p>{html.escape(text)}</p>" for text in section.said)
    divs = []
    for number, figure in enumerate(section.figures):
        name = f"figure-{index}-{number}"
        figures[name] = json.loads(figure.to_json())
        divs.append(f'<div class="figure{" small" * section.small}" id="{name}"></div>')
    drawn = f'<div class="{"grid" if section.small else ""}">{"".join(divs)}</div>'
    inside = "".join([f"<h2>{html.escape(section.title)}</h2>", said, *section.tables, drawn])
    return f"<section>{inside}</section>"
