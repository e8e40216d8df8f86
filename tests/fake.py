"""A trainer that trains nothing, in place of TensorFlow's, for whole commands and API calls in this process."""

import os
import signal

import numpy as np

from optbench.api import running as api
from optbench.cli import running as cli
from optbench.launchers import requests
from optbench.optimizers import OPTIMIZERS
from optbench.training.contract import Epoch
from optbench.worker.session import Session


class Fake:
    """Two lanes. `tested` has the seed of every test-set evaluation of every fake, by optimizer, in its order.

    Those of Keras' defaults are in `defaults` instead. A test accuracy is the level of its optimizer with noise from
    the seed. After `stop_after` evaluations in all, the process gets a SIGINT, as from Ctrl-C.
    """

    name, device, lanes, threads, xla = "fake", "CPU", 2, None, None

    def __init__(self, levels, noise=0.001, stop_after=None):
        self.levels, self.noise, self.stop_after = levels, noise, stop_after
        self.assigned = {}
        self.tested, self.defaults = ({optimizer: [] for optimizer in levels} for _ in range(2))

    def assign(self, lane, job):
        self.assigned[lane] = [job, 0]

    def release(self, lane):
        del self.assigned[lane]

    def train(self):
        for place in self.assigned.values():
            place[1] += 1
        return {lane: self._epoch(job, n) for lane, (job, n) in self.assigned.items()}

    def test(self, lane, images):
        job = self.assigned[lane][0]
        default = job.hparams["learning_rate"] == OPTIMIZERS[job.optimizer].defaults["learning_rate"]
        (self.defaults if default else self.tested)[job.optimizer].append(job.seed)
        if sum(map(len, self.tested.values())) == self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)
        noise = np.random.default_rng([job.seed, *job.optimizer.encode()]).normal()
        return float(np.clip(self.levels[job.optimizer] + self.noise * noise, 0, 1))

    def _epoch(self, job, n):
        accuracy = 0.9 * (1 - 0.5**n) - 0.01 * abs(np.log10(job.hparams["learning_rate"]))
        return Epoch(n, 1 - accuracy, accuracy, 1 - accuracy, accuracy, 0.01, 0.1)


def use(monkeypatch, fake):
    """Let everything in this process be trained by the fake, and leave the dashboard's pages alone."""

    class Faked(Session):
        def __init__(self, *given):
            super().__init__(*given, build=lambda *_: fake)

    monkeypatch.setattr(requests, "load_tensorflow", lambda trainer, threads=None: None)
    monkeypatch.setattr(requests, "Session", Faked)
    monkeypatch.setattr(cli, "refresh", lambda *_: None)
    monkeypatch.setattr(api, "_refresh", lambda *_: None)
    return fake
