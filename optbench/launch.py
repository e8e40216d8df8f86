"""Puts the parts of a sweep together: data, study, trainers and database; and carries it to its total."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from optbench.data import Images, Split
from optbench.definition.fingerprint import compact, differences
from optbench.definition.stored import ordered_as
from optbench.errors import DefinitionError, StorageError, StudyError
from optbench.storage import Storage, StudyRecord, Writer, find_study, glance, open_storage, open_study, set_total
from optbench.study import Study
from optbench.sweep import Sweep
from optbench.training.contract import Trainer
from optbench.worker.events import Event, Listener, RoundFinished, StudyLeft, StudyOpened, Waiting
from optbench.worker.loop import run
from optbench.worker.patience import Patience
from optbench.worker.stop import StopRequest

HEARTBEATS = 6  # heartbeats in one heartbeat timeout
VERSIONS = ("optbench", "optuna", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Launch:
    """A study that is ready to run. `test_images` holds the test images where nothing is selected, else None."""

    sweep: Sweep
    storage: Storage
    study: StudyRecord
    split: Split
    test_images: Images | None

    @property
    def missing(self) -> int:
        """How many trials the study lacks to its total."""
        return max(0, self.sweep.trials - self.study.finished)


def prepare(sweep: Sweep, name: str, url: str, data_dir: Path | None, origin: str | None = None) -> Launch:
    """Loads the data and opens the study, made if there is none; writes nothing before everything is checked.

    `origin` is the name of the study whose configurations it confirms.

    Raises an OptbenchError; a StudyError names the keys in which the definition differs from the study's.
    """
    from optbench.data import digest, load, load_test  # TensorFlow: only where something trains

    split = load(sweep.data.name, sweep.data.validation, sweep.seed, data_dir)
    if sweep.batch > len(split.train):
        raise DefinitionError(
            f"batch = {sweep.batch}, but {sweep.data.name} leaves {len(split.train)} training images; "
            "expected at most that"
        )
    test_images = load_test(sweep.data.name, data_dir) if sweep.data.validation == 0 and not sweep.searches else None
    digests = {**split.digests, "test.sha256": digest(test_images)} if test_images else split.digests
    storage = open_storage(url, create=True)
    fingerprint = sweep.fingerprint(digests)
    metric = "test accuracy" if test_images else "validation accuracy"
    wanted: dict[str, Any] = glance(None) | {
        "definition": sweep.definition(),
        "fingerprint": compact(fingerprint),
        "optimizer": ", ".join(sweep.optimizers),
        "sweep": sweep.name,
        "trials": sweep.trials,
        "versions": {package: version(package) for package in VERSIONS},
    }
    if origin is not None:
        wanted["origin"] = origin
    study_id, held = open_study(storage, name, metric, wanted)
    _compare(name, held.get("fingerprint"), fingerprint)
    study = find_study(storage, name)
    sweep = ordered_as(sweep, study.sweep)
    launch = Launch(sweep, storage, study, split, test_images)
    if launch.missing:  # another total, other lanes, the versions that carry it on
        set_total(storage, study_id, sweep.trials, {"definition": sweep.definition(), "versions": wanted["versions"]})
    return launch


def carry_on(
    launch: Launch,
    build: Callable[[str], Trainer],
    stop: Callable[[], StopRequest | None],
    listener: Listener,
    heartbeat_timeout: int,
    retries: int,
) -> None:
    """Trains until the study has its total, one optimizer after the other.

    `build` makes an optimizer's trainer. Where the last trials are another worker's, it waits for them, and takes them
    over if that worker dies: once its last heartbeat is older than its `heartbeat_timeout`, in seconds. Raises
    StudyError where workers crashed with the same parameters more than `retries` times.
    """
    launch.storage.outage = Patience(stop, listener)
    listener(StudyOpened(launch.study.name, launch.sweep.trials, launch.study.finished))
    writer = Writer(launch.storage, launch.study.study_id, launch.study.name, heartbeat_timeout)
    with _heartbeat(writer, heartbeat_timeout / HEARTBEATS) as check:
        study = Study(launch.sweep, writer, retries)

        def observe(event: Event) -> None:
            listener(event)
            if isinstance(event, RoundFinished):
                check()

        trainers = {optimizer: build(optimizer) for optimizer in launch.sweep.optimizers}
        while True:
            for optimizer, trainer in trainers.items():
                run(study, trainer, optimizer, stop, observe, launch.test_images)
            if stop() or not study.others_run():
                break
            check()
            listener(Waiting())
            time.sleep(1)
        if study.slots.given_up and not stop():
            raise StudyError(
                f"study {launch.study.name!r} lacks {len(study.slots.given_up)} of its trials: their hyperparameters "
                f"crashed a worker {retries + 1} time(s); `optbench show {shlex.quote(launch.study.name)}` gives the "
                f"reasons, --retries {retries + 3} tries them again"
            )
    listener(StudyLeft(launch.study.name))


def _compare(name: str, held: Any, wanted: Mapping[str, Any]) -> None:
    if held is None:
        raise StudyError(f"study {name!r} was not made by optbench; choose another name with --study")
    differing = differences(held, wanted)
    if differing:
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise StudyError(
            f"study {name!r} was made by another definition: {'; '.join(differing[:3])}{more}; "
            "choose another name with --study"
        )


@contextmanager
def _heartbeat(writer: Writer, seconds: float) -> Iterator[Callable[[], None]]:
    """Beats off the training path, so that a long epoch does not look like a dead worker.

    Yields what raises here whatever ended the heart, for no worker may go on without one.
    """
    over, problems = threading.Event(), list[Exception]()

    def heartbeat() -> None:
        while not over.wait(seconds):
            try:
                writer.heartbeat()
            except StorageError:  # a database out of reach: the next heartbeat may find it, and the loop will tell
                continue
            except Exception as problem:
                problems.append(problem)
                return

    def check() -> None:
        if problems:
            raise problems[0]

    writer.heartbeat()
    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        over.set()
        thread.join()
        with suppress(StorageError):  # then its silence will tell
            writer.leave()
