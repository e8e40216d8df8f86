"""Shows progress: as a live table in a terminal or a notebook, elsewhere as plain lines."""

import io
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

View = Callable[[], RenderableType]
WIDTH = 100  # characters, in a notebook


class Screen(Protocol):
    """Shows lines that stay and, if it is `live`, a view below them that is redrawn."""

    live: bool
    width: int

    def line(self, text: str) -> None: ...
    def busy(self, text: str) -> AbstractContextManager[object]: ...
    def open(self, view: View) -> None: ...
    def draw(self) -> None: ...
    def close(self) -> None: ...


class Terminal:
    """A console. If it is not a terminal but, for example, a pipe, it shows only lines."""

    def __init__(self, console: Console) -> None:
        self.console, self.live, self.width = console, console.is_terminal, console.width
        self.shown: Live | None = None

    def line(self, text: str) -> None:
        """Prints the line above the view."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Shows the text while the `with` block runs."""
        return self.console.status(text) if self.live else nullcontext()

    def open(self, view: View) -> None:
        """Shows the view and redraws it four times a second."""
        if self.live:
            self.shown = Live(console=self.console, refresh_per_second=4, get_renderable=view, transient=True)
            self.shown.start()

    def draw(self) -> None:
        """Nothing: the view draws itself."""

    def close(self) -> None:
        """Removes the view."""
        if self.shown is not None:
            self.shown.stop()


class Notebook:
    """The output of a notebook's cell: one display that is replaced, and lines below it."""

    live, width = True, WIDTH

    def __init__(self) -> None:
        self.handle: Any = None
        self.view: View | None = None

    def line(self, text: str) -> None:
        """Prints the line."""
        print(text)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Shows nothing."""
        return nullcontext()

    def open(self, view: View) -> None:
        """Shows the view in a new display."""
        from IPython.display import display

        self.view = view
        self.handle = display({"text/plain": self._text()}, raw=True, display_id=True)

    def draw(self) -> None:
        """Draws the view again."""
        if self.handle is not None:
            self.handle.update({"text/plain": self._text()}, raw=True)

    def close(self) -> None:
        """Draws the view a last time. It stays in the cell."""
        self.draw()

    def _text(self) -> str:
        console = Console(file=io.StringIO(), width=WIDTH, force_terminal=False, force_jupyter=False)
        with console.capture() as capture:
            console.print(self.view() if self.view is not None else "")
        return capture.get().rstrip()


class Silent:
    """Shows nothing."""

    live, width = True, WIDTH

    def line(self, text: str) -> None:
        """Nothing."""

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Nothing."""
        return nullcontext()

    def open(self, view: View) -> None:
        """Nothing."""

    def draw(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def suitable_screen() -> Screen:
    """The screen for this process: a notebook's cell, a terminal, or plain lines."""
    if in_notebook():
        return Notebook()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Terminal(Console(highlight=False, width=None if sys.stdout.isatty() else 200))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
