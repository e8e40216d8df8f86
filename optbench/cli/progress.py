"""Shows a running study, whoever works on it: a live table on a terminal, elsewhere a plain line per finished trial."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from optbench.storage import COUNTED, Follower, TrialRecord, trial_record
from optbench.worker.events import Event, RoundFinished, StorageOutage, StorageRecovered, TrialLost, Waiting
from optbench.worker.stop import StopRequest

LOOK_SECONDS = 0.5
ENDING = {
    StopRequest.NOW: "stopping after this epoch",
    StopRequest.DRAIN: "the time limit is reached: running trials finish",
}


def settings(values: Mapping[str, float]) -> str:
    """Hyperparameters on one line, as a person reads them."""
    return " ".join(f"{name}={value:.4g}" for name, value in values.items())


class Progress:
    """Follows a study's trials in the database; `stop` says whether the sweep is about to end (see stop.Stop)."""

    def __init__(
        self, console: Console, follower: Follower, total: int, stop: Callable[[], StopRequest | None], note: str
    ) -> None:
        self.console, self.follower, self.total, self.stop, self.note = console, follower, total, stop, note
        self.counts = dict.fromkeys(COUNTED, 0)
        self.best: TrialRecord | None = None
        self.running: dict[int, int] = {}  # epochs of the trials that run
        self.epochs = 0  # of those that ended
        self.looked = 0.0
        self._take_in(follower, told=False)
        self.before, self.ended_before, self.start = self.trained, self.done, time.monotonic()
        self.ended_epochs = 0
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

    @property
    def trained(self) -> int:
        """Epochs of all trials."""
        return self.epochs + sum(self.running.values())

    def look(self, now: bool = False) -> None:
        """Read what is new, twice a second at most."""
        if now or time.monotonic() - self.looked >= LOOK_SECONDS:
            self._take_in(self.follower, told=True)
            self.looked = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show what a worker reports; what concerns a trial is read from the database, for every worker's alike."""
        match event:
            case RoundFinished():
                self.look()
            case Waiting():
                self._say("waiting for the last trials, which other workers are training")
                self.look()
            case TrialLost(number):
                self._line(
                    f"trial {number} is no longer this worker's: another program ended it, or another worker took it "
                    "over after this one's heartbeat timed out"
                )
            case StorageOutage(problem, patience):
                self._line(f"{problem}; trying again for {patience / 60:.0f} minutes (Ctrl-C stops)")
            case StorageRecovered():
                self._line("the database answers again")

    def _take_in(self, follower: Follower, told: bool) -> None:
        for frozen in follower.updates():
            if "slot" not in frozen.user_attrs:
                continue  # another program's
            trial = trial_record(frozen, len(frozen.intermediate_values))
            self.running.pop(trial.number, None)
            if trial.state == "running":
                self.running[trial.number] = trial.epochs
                self.note = "" if trial.epochs else self.note
                continue
            self.epochs += trial.epochs
            if trial.state in COUNTED:
                self.counts[trial.state] += 1
                if trial.state == "complete" and (self.best is None or (trial.value or 0) > (self.best.value or 0)):
                    self.best = trial
                if told:
                    self._ended(trial, frozen.value)

    def _ended(self, trial: TrialRecord, value: float | None) -> None:
        self.ended_epochs += trial.epochs
        if not self.console.is_terminal:
            self._line(
                f"[{self.done}/{self.total}] trial {trial.number} {trial.state} after {trial.epochs} epochs: "
                f"{'-' if value is None else format(value, '.4f')}  {trial.optimizer} {settings(trial.hyperparameters)}"
            )

    def _say(self, note: str) -> None:
        if note != self.note and not self.console.is_terminal:
            self._line(note)
        self.note = note

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _view(self) -> Group:
        seconds = max(time.monotonic() - self.start, 1e-9)
        epochs = self.trained - self.before
        table = Table.grid(padding=(0, 2))
        width = min(60, self.console.width - 8)
        table.add_row("", ProgressBar(total=max(self.total, 1), completed=self.done, width=width))
        states = "  ".join(
            f"{count} {state}" for state, count in [*self.counts.items(), ("running", len(self.running))]
        )
        table.add_row("trials", f"{self.done}/{self.total}  ({states})")
        best = self.best
        table.add_row("best", Text(f"{best.value:.4f}  {settings(best.hyperparameters)}" if best else "none yet"))
        table.add_row("speed", f"{epochs} trial-epochs, {epochs / seconds:.2f} per second")
        table.add_row("time", f"{_clock(seconds)} so far, {self._remaining(epochs / seconds)}")
        request = self.stop()
        note = self.note if request is None else ENDING[request]
        return Group(Text(f"{self.follower.name}  {note}", style="bold"), table)

    def _remaining(self, rate: float) -> str:
        """The time left if the trials to come train as many epochs as those that ended in this run."""
        ended = self.done - self.ended_before
        if not ended or not rate:
            return "time left not known yet"
        expected = (self.total - self.done) * self.ended_epochs / ended
        return f"about {_clock(max(0.0, expected - sum(self.running.values())) / rate)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
