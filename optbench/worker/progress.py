"""Shows a running study, with the trials of all workers: a live table, or a line for each finished trial."""

import time
from collections.abc import Callable

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from optbench.errors import counted
from optbench.optimizers.spelling import on_one_line
from optbench.scheduler.finals import FinalsPlan
from optbench.scheduler.states import State
from optbench.storage import Follower, TrialRecord
from optbench.worker.events import Event, RoundFinished, StorageOutage, StorageRecovered, TrialLost, Waiting
from optbench.worker.screens import Screen
from optbench.worker.stop import StopRequest
from optbench.worker.tally import Tally

LOOK_SECONDS = 0.5
ENDING = {
    StopRequest.NOW: "stopping after this epoch",
    StopRequest.DRAIN: "running trials finish, and no others start; Ctrl-C ends them",
}


class Progress:
    """A listener that shows a study on a screen inside its `with` block.

    It reads the trials of all workers from the database. `stop` returns the worker's stop request, if there is one.
    `plan` is that of finals, whose rounds are shown.
    """

    def __init__(
        self,
        screen: Screen,
        follower: Follower,
        total: int,
        stop: Callable[[], StopRequest | None],
        plan: FinalsPlan | None = None,
    ) -> None:
        self.screen, self.stop, self.name, self.plan = screen, stop, follower.name, plan
        self.stage = ""
        self.tally = Tally(follower, total)
        self.note, self.looked = "compiling", 0.0

    def __enter__(self) -> "Progress":
        self.screen.open(self._view)
        self._change_stage(self.tally.done)
        return self

    def __exit__(self, *_: object) -> None:
        self.screen.close()

    def __call__(self, event: Event) -> None:
        """Shows what a worker reports."""
        match event:
            case RoundFinished():
                self.look()
            case Waiting():
                self._change_note("waiting for the last trials, which other workers are training")
                self.look()
            case TrialLost(number):
                self.screen.line(
                    f"trial {number} is no longer this worker's: another program ended it, or another worker took it "
                    "over after this one's heartbeat timed out"
                )
            case StorageOutage(problem, patience):
                self.screen.line(f"{problem}; trying again for {patience / 60:.0f} minutes (Ctrl-C stops)")
            case StorageRecovered():
                self.screen.line("the database answers again")

    def look(self, now: bool = False) -> None:
        """Reads and shows what is new, at most twice a second unless `now` is true."""
        if not now and time.monotonic() - self.looked < LOOK_SECONDS:
            return
        if self.stop() is StopRequest.DRAIN:
            self._change_note(ENDING[StopRequest.DRAIN])
        before = self.tally.done
        for done, trial in enumerate(self.tally.update(), start=before + 1):
            if not self.screen.live:
                self.screen.line(self._ended(trial, done))
            self._change_stage(done)
        if self.note == "compiling" and self.tally.trained > self.tally.trained_before:
            self.note = ""
        self.screen.draw()
        self.looked = time.monotonic()

    def _ended(self, trial: TrialRecord, done: int) -> str:
        return (
            f"[{done}/{self.tally.total}] trial {trial.number} {trial.state} after {counted(trial.epochs, 'epoch')}: "
            f"{_percent(trial.accuracy)}  {trial.optimizer} {on_one_line(trial.optimizer, trial.hyperparameters)}"
        )

    def _change_note(self, note: str) -> None:
        if note != self.note and not self.screen.live:
            self.screen.line(note)
        self.note = note

    def _change_stage(self, done: int) -> None:
        """Shows which round of finals is trained after `done` finished trials."""
        stage = "" if self.plan is None else _stage(self.plan, done)
        if stage and stage != self.stage and not self.screen.live:
            self.screen.line(stage)
        self.stage = stage

    def _view(self) -> Group:
        tally, best, request = self.tally, self.tally.best, self.stop()
        states = {**tally.counts, State.RUNNING: len(tally.running)}
        listed = "  ".join(f"{count} {state}" for state, count in states.items())
        left = tally.seconds_left
        table = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(tally.total, 1), completed=tally.done, width=min(60, self.screen.width - 8))
        table.add_row("", bar)
        table.add_row("trials", f"{tally.done}/{tally.total}  ({listed})")
        shown = f"{_percent(best.value)}  {on_one_line(best.optimizer, best.hyperparameters)}" if best else "none yet"
        table.add_row("best", Text(shown))
        table.add_row("speed", f"{tally.trained - tally.trained_before} trial-epochs, {tally.speed:.2f} per second")
        remaining = "time left unknown so far" if left is None else f"about {_clock(left)} left"
        table.add_row("time", f"{_clock(tally.seconds)} so far, {remaining}")
        note = self.note if request is None else ENDING[request]
        return Group(Text("  ".join(filter(None, (self.name, self.stage, note))), style="bold"), table)


def _stage(plan: FinalsPlan, done: int) -> str:
    """Which round of finals is trained after so many finished trials; nothing after the last one."""
    index = plan.round_of(done)
    if index == len(plan.rounds):
        return ""
    now = plan.rounds[index]
    return (
        f"finals, round {index + 1} of {len(plan.rounds)}: {now.candidates} configurations, "
        f"{now.seeds} fresh seed{'s' if now.seeds > 1 else ''} each"
    )


def _percent(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{100 * accuracy:.2f} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
