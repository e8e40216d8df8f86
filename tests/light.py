"""A real worker process with a fake trainer: it trains nothing, so that it starts at once, without TensorFlow.

OPTBENCH_STORAGE=URL python -m tests.light SWEEP --heartbeat-timeout=SECONDS
"""

import os
import sys
import time

import optuna

from optbench.data import Split
from optbench.definition import load
from optbench.logs import set_up
from optbench.storage import Follower, find_study, open_storage
from optbench.training.contract import Epoch
from optbench.worker.creation import create_study
from optbench.worker.data import StudyData
from optbench.worker.finals import open_finals
from optbench.worker.progress import Progress
from optbench.worker.screens import suitable_screen
from optbench.worker.session import Options, Session
from optbench.worker.stop import Stop


class FakeTrainer:
    """A trainer with two lanes. It computes accuracies from the trial's seed and the epoch, 10 ms a call."""

    name, device, lanes = "light", "CPU", 2

    def __init__(self):
        self.assigned, self.epochs = {}, {}

    def assign(self, lane, job):
        self.assigned[lane], self.epochs[lane] = job, 0

    def release(self, lane):
        del self.assigned[lane]

    def train(self):
        time.sleep(0.01)
        for lane in self.assigned:
            self.epochs[lane] += 1
        return {lane: self._epoch(job.seed % 1000 / 1000, self.epochs[lane]) for lane, job in self.assigned.items()}

    def _epoch(self, limit, n):
        accuracy = limit * (1 - 0.9**n)
        return Epoch(n, 1 - accuracy, accuracy, 1 - accuracy, accuracy, 0.01)


def train(storage, study, options, data, stop):
    """The study after training it, with the lines that a sweep prints in a pipe."""
    with Progress(suitable_screen(), Follower(storage, study.study_id, study.name), study.total, stop) as progress:
        session = Session(storage, study.name, options, data, build=lambda *_: FakeTrainer())
        return session.run(stop, [progress])


def main(file, heartbeat_timeout):
    set_up()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = load(file, {})
    storage = open_storage(os.environ["OPTBENCH_STORAGE"], create=True)
    data = StudyData(Split(None, None, {}))
    create_study(storage, sweep, sweep.name, data.digests)
    options = Options(heartbeat_timeout=heartbeat_timeout)
    with Stop() as stop:
        study = train(storage, find_study(storage, sweep.name), options, data, stop)
        if sweep.finals and not stop():
            train(storage, open_finals(storage, study, sweep.finals, data.digests), options, data, stop)
    storage.close()
    sys.exit(128 + stop.signal if stop.signal else 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2].removeprefix("--heartbeat-timeout=")))
