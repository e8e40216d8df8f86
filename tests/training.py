"""Small trainings of digits for the tests of trainers: jobs, their curves, and lanes that are cheap to make."""

from optbench.data.dataset import facts_of_earlier
from optbench.definition.network import MlpModel
from optbench.optimizers import OPTIMIZERS
from optbench.testing.trainers import TrainerContract
from optbench.training.contract import Job
from optbench.training.tensorflow.mlp import Mlp

HIDDEN = MlpModel((16,))
MODEL = Mlp.on(facts_of_earlier("digits"), HIDDEN)
HPARAMS = {name: optimizer.defaults for name, optimizer in OPTIMIZERS.items()} | {
    "adadelta": {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6},
    "sgd": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": 1.0},
}


def job(optimizer, seed=7, number=0, **changes):
    hparams = HPARAMS[optimizer] | changes
    return Job(number=number, optimizer=optimizer, hparams=hparams, seed=seed, epochs=3)


def curve(trainer, one, epochs=3, lane=0):
    trainer.assign(lane, one)
    rows = [trainer.train()[lane] for _ in range(epochs)]
    trainer.release(lane)
    return rows


def accuracies(rows):
    return [(row.train_accuracy, row.validation_accuracy) for row in rows]


def released(trainer):
    for lane in range(trainer.lanes):
        trainer.release(lane)
    return trainer


class Contract(TrainerContract):
    """The contract on one trainer for all of its tests, because compiling takes seconds."""

    made = None

    def trainer(self):
        if self.made is None:
            type(self).made = self.make(self.optimizer, self.split())
        return released(self.made)
