"""Real processes with a fake trainer: they train nothing, so that they start at once, without TensorFlow.

A process that is started with `environment()` is light, and so are the worker processes that it starts: Python runs
sitecustomize.py of this folder in each of them.
"""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from optbench.data import splits
from optbench.data.dataset import Examples, facts_of_earlier
from optbench.training.contract import Epoch

FOLDER = Path(__file__).parent
FACTS = facts_of_earlier("digits")


def environment():
    """The environment variables of this process, for a process that is light."""
    path = [str(FOLDER), str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def install():
    """Put the fake trainer in place of TensorFlow, and black images in place of scikit-learn's, in this process."""
    sys.modules["optbench.training.tensorflow.build"] = SimpleNamespace(
        configure=lambda trainer, threads=None: None, build=lambda *_: FakeTrainer()
    )
    splits.digits = SimpleNamespace(training_set=lambda: (black(FACTS.examples), FACTS))


def black(count):
    return Examples(np.zeros((count, 784), np.uint8), np.arange(count, dtype=np.int32) % 10)


class FakeTrainer:
    """A trainer with two lanes. It computes accuracies from the trial's seed and the epoch, 10 ms a call."""

    name, device, lanes, threads, xla = "light", "CPU", 2, None, None

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
        return Epoch(n, 1 - accuracy, accuracy, 1 - accuracy, accuracy, 0.01, FACTS.chance)
