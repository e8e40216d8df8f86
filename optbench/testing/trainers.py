"""The contract of a trainer, as tests. To test your own trainer with pytest:

    from optbench.testing.trainers import TrainerContract

    class TestMine(TrainerContract):
        def make(self, optimizer, split):
            return MyTrainer(optimizer, split)

The trainer must learn the digits that come with scikit-learn, enlarged to 28x28 pixels, in batches of about 64. Set
`exact = False` in the class if a job that is trained again may give slightly different numbers.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from optbench.data import Examples, Split, load
from optbench.data.dataset import Facts
from optbench.definition.data import DataSource
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import SCHEDULES
from optbench.training.contract import Epoch, Job, Trainer

LEARNS, EPOCHS = 0.8, 5  # the validation accuracy of Adam with learning rate 0.01 after so many epochs
DIVERGES = 1e38  # a learning rate at which every network diverges in its first epoch


def job(optimizer: str, seed: int = 7, number: int = 0, **changes: float) -> Job:
    """A job with the optimizer's defaults, apart from `changes`."""
    hparams = OPTIMIZERS[optimizer].resolve(changes)
    return Job(number=number, optimizer=optimizer, hparams=hparams, seed=seed, epochs=EPOCHS)


def curve(trainer: Trainer, one: Job, epochs: int = 2, lane: int = 0) -> list[Epoch]:
    """Every epoch of the job, trained in that lane while the other lanes stay as they are."""
    trainer.assign(lane, one)
    rows = [trainer.train()[lane] for _ in range(epochs)]
    trainer.release(lane)
    return rows


def figures(rows: list[Epoch]) -> list[tuple[Any, ...]]:
    """The losses and accuracies, which have to be the same whenever a job is trained."""
    return [(row.train_loss, row.train_accuracy, row.validation_loss, row.validation_accuracy) for row in rows]


class TrainerContract:
    """Every test of the contract. A subclass makes the trainer."""

    exact = True  # whether a job that is trained again gives the same numbers, bit for bit
    optimizer = "adam"

    def make(self, optimizer: str, split: Split) -> Trainer:
        """A trainer of that optimizer on these images, with every lane free."""
        raise NotImplementedError

    def trainer(self) -> Trainer:
        """A trainer on 1,200 training and 300 validation images of the digits."""
        return self.make(self.optimizer, self.split())

    def split(self) -> Split:
        """The images of the contract."""
        return load(DataSource("digits", 300), 0)

    def test_it_says_what_it_is(self) -> None:
        trainer = self.trainer()
        assert trainer.name
        assert trainer.lanes >= 1
        assert trainer.device

    def test_no_lane_taken_trains_nothing(self) -> None:
        trainer = self.trainer()
        assert trainer.train() == {}
        trainer.assign(0, job(self.optimizer))
        trainer.release(0)
        assert trainer.train() == {}

    def test_it_learns_and_counts_epochs_from_1(self) -> None:
        rows = curve(self.trainer(), job(self.optimizer, learning_rate=0.01), EPOCHS)
        assert [row.epoch for row in rows] == list(range(1, EPOCHS + 1))
        assert (rows[-1].validation_accuracy or 0.0) > LEARNS
        assert rows[-1].train_loss < rows[0].train_loss
        assert all(row.seconds > 0 and row.finite for row in rows)

    def test_a_seed_decides_the_numbers(self) -> None:
        trainer = self.trainer()
        first, again = (figures(curve(trainer, job(self.optimizer))) for _ in range(2))
        other = figures(curve(trainer, job(self.optimizer, seed=8)))
        assert first != other
        if self.exact:
            assert first == again

    def test_a_lane_does_not_depend_on_its_neighbours(self) -> None:
        """The last lane gives the same numbers alone and with neighbours, one of which diverges."""
        alone, crowded = self.trainer(), self.trainer()
        lane = alone.lanes - 1
        expected = figures(curve(alone, job(self.optimizer), lane=lane))
        for other in range(lane):
            rate = DIVERGES if other == 0 else 0.01
            crowded.assign(other, job(self.optimizer, seed=other, number=other + 1, learning_rate=rate))
        found = figures(curve(crowded, job(self.optimizer), lane=lane))
        if self.exact:
            assert found == expected

    def test_a_job_is_trained_with_its_own_batch_size(self) -> None:
        """An epoch of one step moves the weights less than one of many steps."""
        trainer, moved = self.trainer(), []
        for batch in (len(self.split().train), 64):
            trainer.assign(0, job(self.optimizer, learning_rate=1e-3, batch=batch))
            start = trainer.weights(0)[0]
            trainer.train()
            moved.append(np.linalg.norm(trainer.weights(0)[0] - start))
            trainer.release(0)
        assert 0 < moved[0] < moved[1] / 2

    def test_a_job_is_trained_with_its_schedule(self) -> None:
        """A learning rate that falls to a millionth of itself changes nothing in the last epoch."""
        exponential = float(SCHEDULES.index("exponential"))
        rows = curve(self.trainer(), job(self.optimizer, schedule=exponential, final=1e-6, learning_rate=0.01), EPOCHS)
        losses = [row.validation_loss or 0.0 for row in rows]
        assert abs(losses[-1] - losses[-2]) < 1e-3 < abs(losses[1] - losses[0])

    def test_divergence_shows_in_the_loss_and_ends_with_the_job(self) -> None:
        trainer = self.trainer()
        (diverged,) = curve(trainer, job(self.optimizer, learning_rate=DIVERGES), 1)
        assert not diverged.finite
        assert diverged.objective == self.split().facts.chance
        assert curve(trainer, job(self.optimizer), 1)[0].finite

    def test_other_images_are_scored_by_the_network_as_it_is(self) -> None:
        trainer, split = self.trainer(), self.split()
        trainer.assign(0, job(self.optimizer))
        row = trainer.train()[0]
        assert split.validation is not None
        assert math.isclose(trainer.test(0, split.validation), row.validation_accuracy or 0.0, abs_tol=1e-6)

    def test_with_resplit_every_trial_validates_on_images_that_its_seed_draws(self) -> None:
        """The accuracy in the table is that on the trial's own images, and no neighbour changes them."""
        split = self.split().resplit()
        trainer = self.make(self.optimizer, split)
        lanes = range(trainer.lanes)
        for lane in lanes:
            trainer.assign(lane, job(self.optimizer, seed=lane, number=lane, learning_rate=0.01))
        rows = trainer.train()
        for lane in lanes:
            own = split.of(lane).validation
            assert own is not None
            assert math.isclose(trainer.test(lane, own), rows[lane].validation_accuracy or 0.0, abs_tol=1e-6)
        if self.exact:
            alone = curve(trainer, job(self.optimizer, seed=0, learning_rate=0.01), 1, lane=lanes[-1])
            assert figures(alone) == figures([rows[0]])

    def test_a_data_set_may_have_any_number_of_features_and_classes(self) -> None:
        """A hundred pixels of the digits 0 to 3. The network has an input for each, and a logit for each class."""
        whole = self.split().train
        few = whole.take(np.flatnonzero(whole.labels < 4))
        train = Examples(np.ascontiguousarray(few.inputs[:, 340:440]), few.labels)
        facts = Facts(shape=(100,), classes=("0", "1", "2", "3"), examples=len(train))
        trainer = self.make(self.optimizer, Split(train, None, {}, facts))
        assert curve(trainer, job(self.optimizer, learning_rate=0.01), EPOCHS)[-1].train_accuracy > LEARNS
        trainer.assign(0, job(self.optimizer))
        assert trainer.weights(0)[0].shape[0] == 100
        assert trainer.weights(0)[-1].shape == (4,)

    def test_without_validation_images_there_are_no_validation_figures(self) -> None:
        split = self.split()
        row = curve(self.make(self.optimizer, replace(split, validation=None)), job(self.optimizer), 1)[0]
        assert (row.validation_loss, row.validation_accuracy) == (None, None)
        assert row.objective == row.train_accuracy

    def test_weights_are_float32_and_change(self) -> None:
        trainer = self.trainer()
        trainer.assign(0, job(self.optimizer))
        before = trainer.weights(0)
        trainer.train()
        after = trainer.weights(0)
        assert all(value.dtype == "float32" for value in after)
        assert [value.shape for value in after] == [value.shape for value in before]
        assert all((old != new).any() for old, new in zip(before, after, strict=True))
