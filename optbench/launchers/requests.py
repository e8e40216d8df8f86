"""What a command or a Python call is asked to train, and training it in this process or in several."""

from dataclasses import dataclass, field, replace

from optbench.defaults import user_name
from optbench.definition.network import BuiltModel
from optbench.definition.sweep import Finals, Sweep
from optbench.errors import StudyError
from optbench.launchers.local import LocalWorkers
from optbench.scheduler.states import StudyState, Wish
from optbench.storage import Follower, Storage, StudyRecord, check, find_study, open_storage
from optbench.storage.about import About, describe
from optbench.storage.queue import places
from optbench.storage.steering import conclude
from optbench.worker.creation import Relations, create_study
from optbench.worker.data import load_data
from optbench.worker.finals import open_finals
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
    about: About = field(default_factory=lambda: About(owner=user_name()))


BY_HAND = "by hand"  # how the log says that no worker of the queue concluded a study
WISHED = {Wish.RUN: None, Wish.PAUSE: "the study was paused", Wish.STOP: "the study was stopped"}


@dataclass(frozen=True)
class Outcome:
    """The study afterwards, whether anything was left to train, and a line for each worker process that failed.

    `done` is whether the study has its total and its finals, if it has any, are finished. `wish` is what people wish of
    it: training ends if somebody pauses or stops a study of the queue. `goes_on` is whether its workers, on other
    machines, go on without this process.
    """

    study: StudyRecord
    trained: bool
    done: bool
    problems: tuple[str, ...] = ()
    wish: Wish = Wish.RUN
    goes_on: bool = False

    @property
    def why_unfinished(self) -> str:
        """Why training ended before it was done, where neither a signal nor a time limit ended it."""
        return WISHED[self.wish] or ("a worker failed" if self.problems else "its workers have ended")


def execute(request: Request, stop: Stop, screen: Screen) -> Outcome:
    """The outcome of training the study to the sweep's total, and its finals, or until `stop` returns a request.

    The study is made if there is none. Raises an OptbenchError. If the request is invalid, nothing is written.
    """
    check(request.storage, create=request.sweep.start is None)
    model = request.sweep.model
    if isinstance(model, BuiltModel):
        request = replace(request, options=replace(request.options, code=model.place))
    training = Training(request, stop, screen)
    storage = training.storage
    try:
        digests, facts = training.data.digests, training.data.facts
        study = create_study(storage, request.sweep, request.study, digests, request.relations, facts)
        describe(storage, study.study_id, request.about)
        training.run(study, request.sweep.trials)
        study = find_study(storage, request.study)
        done = study.finished >= request.sweep.trials
        if done and study.state is StudyState.DONE and request.sweep.finals is not None:
            done = training.run_finals(study, request.sweep.finals)
        if done:
            conclude(storage, study.study_id, BY_HAND)
        study = find_study(storage, request.study)
        return Outcome(
            study=study,
            trained=training.trained,
            done=done,
            problems=tuple(training.problems),
            wish=_wish(storage, study),
        )
    finally:
        storage.close()


def _wish(storage: Storage, study: StudyRecord) -> Wish:
    """What people wish of the study or of its finals, if these are in the queue."""
    names = {study.name} if study.finals is None else {study.name, study.finals.study}
    wishes = [place.wish for place in places(storage) if place.study in names]
    return next((wish for wish in wishes if wish is not Wish.RUN), Wish.RUN)


class Training:
    """Trains what a request asks for, one study after another, in this process or in several.

    It loads the data, and holds it for all of them. Then it opens the database.
    `trained` is whether anything was left to train, and `problems` has a line for each worker process that failed.
    """

    def __init__(self, request: Request, stop: Stop, screen: Screen) -> None:
        self.request, self.stop, self.screen = request, stop, screen
        with screen.busy(f"loading {request.sweep.data.name}"):
            options = request.options
            self.data = load_data(request.sweep, options.trainer, options.data_dir, options.allow_code)
        self.storage = open_storage(request.storage, create=request.sweep.start is None)
        self.trained = False
        self.problems: list[str] = []

    def run(self, study: StudyRecord, total: int) -> None:
        """Trains the study until it has `total` finished trials."""
        if study.finished >= total:
            return
        self.trained = True
        if self.stop():
            return
        request, options = self.request, replace(self.request.options, trials=total)
        if request.workers == 1:
            with self.screen.busy("loading TensorFlow"):
                load_tensorflow(options.trainer)
        follower = Follower(self.storage, study.study_id, study.name)
        with Progress(self.screen, follower, total, self.stop, study.plan) as progress:
            if request.workers == 1:
                Session(self.storage, study.name, options, self.data).run(self.stop, [progress])
            else:
                self.storage.outage = Patience(self.stop, progress)
                with LocalWorkers(request.storage, study.name, options, request.workers) as workers:
                    self.problems += workers.run(self.stop, progress.look)
            progress.look(now=True)

    def run_finals(self, search: StudyRecord, finals: Finals) -> bool:
        """Whether the search's finals are finished, after training them. Says so in a line if it cannot have any.

        Finished finals leave the queue, if they are there. After a stop request none are opened.

        Raises StudyError if the finals were asked for with numbers that the search does not have.
        """
        if self.stop():
            return search.finals is not None and search.finals.done
        try:
            study = open_finals(self.storage, search, finals, self.data.digests, self.data.facts)
        except StudyError as problem:
            if finals.sized:
                raise
            rests = "one run" if search.finals is None else "its earlier finals"
            self.screen.line(f"no new finals, so the best rests on {rests}: {problem}")
            return True
        if finals.resplit and self.request.workers == 1:
            self.data = replace(self.data, split=self.data.split.resplit())  # the search's parts are dropped
        self.run(study, study.total or 0)
        done = find_study(self.storage, study.name).state is StudyState.DONE
        if done:
            conclude(self.storage, study.study_id, BY_HAND)
        return done
