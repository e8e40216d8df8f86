"""What a command or a Python call is asked to train, and training it in this process or in several."""

from dataclasses import dataclass, field, replace

from optbench.definition.sweep import Sweep
from optbench.launchers.local import LocalWorkers
from optbench.storage import Follower, StudyRecord, check, find_study, open_storage
from optbench.worker.creation import Relations, create_study
from optbench.worker.data import load_data
from optbench.worker.loading import load_tensorflow
from optbench.worker.patience import Patience
from optbench.worker.progress import Progress
from optbench.worker.screens import Screen
from optbench.worker.session import Options, Session
from optbench.worker.stop import Stop


@dataclass(frozen=True)
class Request:
    """The sweep to train, as the study `study` of the database `storage`, with this number of worker processes."""

    sweep: Sweep
    study: str
    storage: str
    options: Options = field(default_factory=Options)
    workers: int = 1
    relations: Relations = field(default_factory=Relations)


@dataclass(frozen=True)
class Outcome:
    """The study afterwards, whether anything was left to train, and a line for each worker process that failed."""

    study: StudyRecord
    trained: bool
    problems: tuple[str, ...] = ()


def execute(request: Request, stop: Stop, screen: Screen) -> Outcome:
    """The outcome of training the study to the sweep's total, or until `stop` returns a request; made if there is none.

    Raises an OptbenchError. If the request is invalid, nothing is written.
    """
    check(request.storage, create=True)
    options = replace(request.options, trials=request.sweep.trials)
    with screen.busy(f"loading {request.sweep.data.name}" + (" and TensorFlow" if request.workers == 1 else "")):
        if request.workers == 1:
            load_tensorflow(options.trainer)
        data = load_data(request.sweep, options.trainer, options.data_dir)
    storage = open_storage(request.storage, create=True)
    try:
        before = create_study(storage, request.sweep, request.study, data.digests, request.relations)
        if before.finished >= request.sweep.trials:
            return Outcome(before, trained=False)
        follower = Follower(storage, before.study_id, before.name)
        with Progress(screen, follower, request.sweep.trials, stop) as progress:
            problems: list[str] = []
            if request.workers == 1:
                Session(storage, request.study, options, data).run(stop, [progress])
            else:
                storage.outage = Patience(stop, progress)
                with LocalWorkers(request.storage, request.study, options, request.workers) as workers:
                    problems = workers.run(stop, progress.look)
            progress.look(now=True)
        return Outcome(find_study(storage, request.study), True, tuple(problems))
    finally:
        storage.close()
