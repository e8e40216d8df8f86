"""The command docs: prints the manual, the Markdown pages of optbench/docs that ship with the package."""

import re
import sys
from importlib.resources import files
from typing import Annotated

import typer

from optbench.cli.options import app
from optbench.cli.output import console
from optbench.errors import DefinitionError, nearest

WIDTH = 100  # a longer line is hard to read
ENTRY = re.compile(r"^- \[([a-z-]+)\]\(([a-z-]+)\.md\): (.+)$", re.MULTILINE)
PAGE_LINK = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md(?:#[^)]*)?\)")
FILE_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def page(name: str) -> str:
    """The Markdown of one page."""
    return (files("optbench") / "docs" / f"{name}.md").read_text(encoding="utf-8")


def topics() -> dict[str, str]:
    """Every topic with its line in the index, in reading order."""
    return {name: line for name, _, line in ENTRY.findall(page("README"))}


def complete_topic(begun: str) -> list[str]:
    """The topics whose names begin with this, for completion in the shell."""
    return [name for name in topics() if name.startswith(begun)]


@app.command()
def docs(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", help="A page of the manual. [default: list them]", autocompletion=complete_topic
        ),
    ] = None,
) -> None:
    """Read the manual, page by page; without a topic, list the pages. Example: optbench docs getting-started"""
    known = topics()
    if topic is not None and topic not in known:
        raise DefinitionError(f"there is no page {topic!r} in the manual; {nearest(topic, known)}")
    if not sys.stdout.isatty():
        sys.stdout.write(page(topic or "README"))
    elif topic is None:
        for name, line in known.items():
            console.print(f"{name:<{max(map(len, known))}}  {line}", markup=False, soft_wrap=True)
        console.print("\n`optbench docs TOPIC` prints a page", markup=False)
    else:
        from rich.markdown import Markdown

        console.print(Markdown(for_terminal(page(topic))), width=min(console.width, WIDTH))


def for_terminal(text: str) -> str:
    """The page with links to other pages replaced by commands, and without comments and links to files."""

    def say(link: re.Match[str]) -> str:
        text, name = link.groups()
        return f"`optbench docs {name}`" if text == name else f"{text} (`optbench docs {name}`)"

    return FILE_LINK.sub(r"\1", PAGE_LINK.sub(say, COMMENT.sub("", text)))
