"""Trains one study to its total. Everything that a worker must know about the study is in the database."""

import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.choices import TrainerName
from optbench.data import Split
from optbench.defaults import HEARTBEAT_TIMEOUT, RETRIES
from optbench.definition.sweep import Sweep
from optbench.errors import CrashedError, counted
from optbench.scheduler.scheduler import Scheduler
from optbench.storage import (
    Storage,
    StudyRecord,
    Writer,
    complete_study,
    find_study,
    past_trials,
    sweep_of,
)
from optbench.training.contract import Trainer
from optbench.worker.code import check_code, from_own_file
from optbench.worker.creation import check_fingerprint
from optbench.worker.data import StudyData, load_data
from optbench.worker.events import Event, Listener, RoundFinished, StudyLeft, StudyOpened, Waiting
from optbench.worker.finals import advance
from optbench.worker.heartbeat import heartbeat
from optbench.worker.log import log_event
from optbench.worker.loop import Loop
from optbench.worker.patience import SECONDS, Patience
from optbench.worker.stop import StopRequest, strictest


@dataclass(frozen=True)
class Options:
    """How a worker trains. No option changes a trial's numbers.

    `trials` is the number of finished trials to stop at (None: the study's total), and `lanes` how many trials train
    side by side (None: as the sweep says). A worker is dead once its last heartbeat is older than `heartbeat_timeout`
    seconds. Hyperparameters that crashed a worker are tried again up to `retries` times. The worker waits up to
    `patience` seconds for a database that does not answer. `allow_code` lets the database's text of a model's function
    run (see check_code). `code` is the file or module of the function here, if a study has the same text. A worker that
    does not `linger` leaves once every trial that is not finished runs elsewhere; else it waits there, to take over the
    trials of workers that die.
    """

    trainer: TrainerName = TrainerName.LANES
    lanes: int | None = None
    data_dir: Path | None = None
    trials: int | None = None
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT
    retries: int = RETRIES
    patience: float = SECONDS
    allow_code: bool = False
    code: str | None = None
    linger: bool = True


def build_trainer(trainer: str, sweep: Sweep, optimizer: str, split: Split, trials: int) -> Trainer:
    """The trainer of that name, for one optimizer. Loads TensorFlow."""
    from optbench.worker.loading import load_tensorflow

    load_tensorflow(trainer)
    from optbench.training.tensorflow.build import build

    return build(trainer, sweep, optimizer, split, trials)


class Session:
    """One worker's work on the study `name`.

    The data is loaded unless it is given. `build` makes the trainer of an optimizer.
    """

    def __init__(
        self,
        storage: Storage,
        name: str,
        options: Options | None = None,
        data: StudyData | None = None,
        build: Callable[[str, Sweep, str, Split, int], Trainer] = build_trainer,
    ) -> None:
        self.storage, self.name, self.options = storage, name, options or Options()
        self.data, self.build = data, build
        self.listeners: list[Listener] = []

    def run(self, stop: Callable[[], StopRequest | None], listeners: Iterable[Listener] = ()) -> StudyRecord:
        """The study's record after training it to its total, or until `stop` returns a request.

        Raises StudyError if another program made the study, if it was made with other data or libraries, or if the same
        hyperparameters crashed workers more than `retries` times. Raises StorageError if the database does not answer
        within the patience.
        """
        self.listeners = [log_event, *listeners]
        self.storage.outage = Patience(stop, self._notify, self.options.patience)
        record = find_study(self.storage, self.name)
        sweep, options = self._sweep(record), self.options
        check_code(sweep.model, options.allow_code)  # the database may hold another function than the request had
        total = self._total(record)
        if record.finished < total:
            data = self.data or load_data(sweep, options.trainer, options.data_dir, options.allow_code)
            if record.facts is None:
                complete_study(self.storage, record.study_id, data.digests, data.facts)
                record = find_study(self.storage, self.name)
            check_fingerprint(record, data.digests)
            self._notify(StudyOpened(record.name, total, record.finished))
            self._train(record, sweep, data, stop)
            self._notify(StudyLeft(record.name))
        return find_study(self.storage, self.name)

    def _total(self, record: StudyRecord) -> int:
        """The number of finished trials to stop at."""
        return self.options.trials or record.total or 0

    def _sweep(self, record: StudyRecord) -> Sweep:
        """The study's sweep, with the numbers of trials and lanes from this worker's options.

        The list of finals has the trials of the rounds that were begun so far.
        """
        sweep = sweep_of(record)
        sweep = replace(sweep, model=from_own_file(sweep.model, self.options.code))
        return self._as_asked(sweep, self._total(record) or sweep.trials)

    def _as_asked(self, sweep: Sweep, total: int) -> Sweep:
        trials = total if sweep.searches else min(total, len(sweep.fixed))
        return replace(sweep, trials=trials, lanes=self.options.lanes or sweep.lanes)

    def _train(
        self, record: StudyRecord, sweep: Sweep, data: StudyData, stop: Callable[[], StopRequest | None]
    ) -> None:
        """Trains one optimizer after another, then waits for the trials of other workers, in case these die.

        Then it goes on with the next round, if the study is finals.
        """
        timeout, missing = self.options.heartbeat_timeout, self._total(record) - record.finished
        writer = Writer(self.storage, record.study_id, record.name, timeout)
        with heartbeat(writer, timeout) as heartbeats:
            past = past_trials(self.storage, record.study_id) if sweep.start else []
            study = Scheduler(sweep, writer, self.options.retries, past)

            def observe(event: Event) -> None:
                self._notify(event)
                if isinstance(event, RoundFinished):
                    heartbeats.check()

            def request() -> StopRequest | None:
                return strictest(stop(), heartbeats.request())

            loops = self._loops(study, data, missing, observe)
            going_on = True
            while going_on:
                for loop in loops:
                    loop.run(request)
                going_on = not request() and self._goes_on(study)
                heartbeats.check()
            if study.slots.given_up and not request():
                raise self._lacking(len(study.slots.given_up))

    def _goes_on(self, study: Scheduler) -> bool:
        """Whether trials are left that this worker trains, after waiting a second if others run the last ones."""
        if not study.others_run():
            return study.slots.any_free or self._next_round(study)
        if self._may_leave():
            return False
        self._notify(Waiting())
        time.sleep(1)
        return True

    def _loops(self, study: Scheduler, data: StudyData, missing: int, observe: Listener) -> list[Loop]:
        """A loop for each optimizer of the study, which lacks so many trials."""
        sweep = study.sweep
        split = data.split.resplit() if sweep.data.resplit else data.split
        return [
            Loop(
                study=study,
                trainer=self.build(self.options.trainer, sweep, optimizer, split, missing),
                optimizer=optimizer,
                listener=observe,
                test_set=data.test_set,
            )
            for optimizer in sweep.optimizers
        ]

    def _may_leave(self) -> bool:
        """Whether the worker is not to wait for others and none of these is dead."""
        return not self.options.linger and not find_study(self.storage, self.name).free_slots

    def _next_round(self, study: Scheduler) -> bool:
        """Whether the study has more trials now: those of the next round, appended by this worker or by another one."""
        longer = advance(self.storage, self.name)
        if longer is None or len(longer.fixed) <= len(study.sweep.fixed):
            return False
        study.extend(self._as_asked(longer, len(longer.fixed)))
        return True

    def _lacking(self, count: int) -> CrashedError:
        tries, name = self.options.retries, shlex.quote(self.name)
        return CrashedError(
            f"study {self.name!r} lacks {count} of its trials: their hyperparameters crashed a worker "
            f"{counted(tries + 1, 'time')}; `optbench show {name}` gives the reasons, `--retries {tries + 3}` tries "
            "them again"
        )

    def _notify(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
