"""Shows a running sweep: a live table on a terminal, one plain line per finished trial elsewhere."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from optbench.job import Ending, Job, Verdict
from optbench.runner import Round


def settings(values: Mapping[str, float]) -> str:
    """Hyperparameters on one line, as a person reads them."""
    return " ".join(f"{name}={value:.4g}" for name, value in values.items())


class Progress:
    """Counts what the rounds report; `best` is a complete trial's value and hyperparameters from before, if any."""

    def __init__(
        self,
        console: Console,
        name: str,
        total: int,
        counts: Mapping[str, int],
        best: tuple[float, str] | None,
        stop: Callable[[], str | None],
    ) -> None:
        self.console, self.name, self.total, self.best, self.stop = console, name, total, best, stop
        self.counts = {state: counts[state] for state in ("complete", "pruned", "diverged")}
        self.running = self.epochs = self.ended = self.ended_epochs = 0
        self.start = time.monotonic()
        self.note = "compiling"
        self.live = Live(console=console, refresh_per_second=4, get_renderable=self._view, transient=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    @property
    def done(self) -> int:
        """Finished trials, those of earlier runs included."""
        return sum(self.counts.values())

    def round(self, done: Round) -> None:
        """Take in what a round did."""
        self.note = ""
        self.epochs += len(done.trained)
        self.running = done.running
        for job, ending in done.ended.values():
            self._ended(job, ending)

    def waiting(self) -> None:
        """Say that the last trials are another worker's."""
        if not self.note and not self.console.is_terminal:
            self.console.print("waiting for the last trials, which other workers are running")
        self.note = "waiting for other workers"

    def _ended(self, job: Job, ending: Ending) -> None:
        state = ending.verdict.value
        self.counts[state] += 1
        self.ended += 1
        self.ended_epochs += ending.epochs
        if ending.verdict is Verdict.COMPLETE and (self.best is None or (ending.value or 0.0) > self.best[0]):
            self.best = (ending.value or 0.0, settings(job.hyper))
        if not self.console.is_terminal:
            self.console.print(
                f"[{self.done}/{self.total}] trial {job.number} {state} after {ending.epochs} epochs: "
                f"{ending.value:.4f}  {job.optimizer} {settings(job.hyper)}",
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip

    def _view(self) -> Group:
        seconds = max(time.monotonic() - self.start, 1e-9)
        rate = self.epochs / seconds
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "", ProgressBar(total=max(self.total, 1), completed=self.done, width=min(60, self.console.width - 8))
        )
        states = "  ".join(f"{count} {state}" for state, count in [*self.counts.items(), ("running", self.running)])
        table.add_row("trials", f"{self.done}/{self.total}  ({states})")
        table.add_row("best", Text("none yet" if self.best is None else f"{self.best[0]:.4f}  {self.best[1]}"))
        table.add_row("speed", f"{self.epochs} trial-epochs, {rate:.2f} per second")
        table.add_row("time", f"{_clock(seconds)} so far, {self._remaining(rate)}")
        ending = {"now": "stopping after this epoch", "soon": "time is up: running trials finish"}
        return Group(Text(f"{self.name}  {ending.get(self.stop() or '', self.note)}", style="bold"), table)

    def _remaining(self, rate: float) -> str:
        """The time left if the trials to come train as many epochs as those that ended in this run."""
        if not self.ended or not rate:
            return "time left not known yet"
        expected = (self.total - self.done) * self.ended_epochs / self.ended
        under_way = self.epochs - self.ended_epochs
        return f"about {_clock(max(0.0, expected - under_way) / rate)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
