"""The contract of trainers on one lane, four lanes and stock Keras, and properties that only lanes have."""

import math
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from optbench.choices import Scale
from optbench.data import load
from optbench.data.dataset import facts_of_earlier
from optbench.data.scaling import scaling
from optbench.definition.data import DataSource
from optbench.definition.sweep import ACTIVATIONS, MlpModel
from optbench.optimizers import OPTIMIZERS
from optbench.testing.trainers import TrainerContract
from optbench.training.contract import Job
from optbench.training.order import batches
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.ops import LANE_OPS
from optbench.training.tensorflow.reference import Reference, network

HIDDEN = MlpModel((16,))
MODEL = Mlp.on(facts_of_earlier("digits"), HIDDEN)
HPARAMS = {name: optimizer.defaults for name, optimizer in OPTIMIZERS.items()} | {
    "adadelta": {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6},
    "sgd": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": 1.0},
}


def lanes(n):
    return lambda optimizer, split: Lanes(n, optimizer, Mlp.on(split.facts, HIDDEN), 64, split)


TRAINERS = {
    "lanes-1": lanes(1),
    "lanes-4": lanes(4),
    "reference": lambda optimizer, split: Reference(optimizer, Mlp.on(split.facts, HIDDEN), 64, split),
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


@pytest.fixture(scope="module")
def free(digits):
    """A function that returns `n` free lanes of an optimizer. All tests share them, because compiling is slow."""

    @cache
    def made(optimizer, n):
        return Lanes(n, optimizer, MODEL, 64, digits)

    def get(optimizer, n=2):
        return released(made(optimizer, n))

    return get


def released(trainer):
    for lane in range(trainer.lanes):
        trainer.release(lane)
    return trainer


@pytest.mark.parametrize("n", [1, 4])
def test_the_number_of_lanes_changes_no_figure(n, free):
    assert _all(curve(free("adadelta", n), job("adadelta"))) == _all(curve(free("adadelta"), job("adadelta")))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_as_in_keras(optimizer, free, digits):
    ours = curve(free(optimizer), job(optimizer))
    stock = curve(Reference(optimizer, MODEL, 64, digits), job(optimizer))
    assert [row.epoch for row in ours] == [row.epoch for row in stock] == [1, 2, 3]
    np.testing.assert_allclose(accuracies(stock), accuracies(ours), atol=0.004)
    np.testing.assert_allclose([r.train_loss for r in stock], [r.train_loss for r in ours], rtol=2e-3)
    np.testing.assert_allclose([r.validation_loss for r in stock], [r.validation_loss for r in ours], rtol=2e-3)


def test_standardized_inputs_train_as_in_keras_with_the_numbers_of_each_trials_own_split():
    split = load(DataSource("wine", 0.2), 0).resplit()
    model = Mlp.on(split.facts, HIDDEN)
    ours = curve(Lanes(2, "adam", model, 16, split), job("adam", learning_rate=0.01), lane=1)
    stock = curve(Reference("adam", model, 16, split), job("adam", learning_rate=0.01))
    assert ours[-1].validation_accuracy > 0.5
    np.testing.assert_allclose(accuracies(stock), accuracies(ours), atol=0.01)
    np.testing.assert_allclose([r.validation_loss for r in stock], [r.validation_loss for r in ours], rtol=2e-3)


def test_effective_lr_and_weight_distance_match_the_weights(digits):
    trainer = Lanes(3, "sgd", MODEL, 64, digits)
    for lane in range(3):
        trainer.assign(lane, job("sgd", seed=lane, learning_rate=0.01 * (lane + 1)))
    rows = [trainer.train(), trainer.train()][1]
    for lane, row in rows.items():
        pairs = zip(trainer.weights(lane), MODEL.initial(lane), strict=True)
        distance = math.sqrt(sum(((now - start) ** 2).sum(dtype=float) for now, start in pairs))
        assert row.weight_distance == pytest.approx(distance, rel=1e-6)
        assert row.effective_lr == pytest.approx(0.01 * (lane + 1), rel=1e-6)


def test_adadeltas_effective_lr_is_proportional_to_its_learning_rate(free):
    slow, fast = (curve(free("adadelta"), job("adadelta", learning_rate=rate)) for rate in (1e-6, 1e-5))
    assert fast[-1].effective_lr == pytest.approx(10 * slow[-1].effective_lr, rel=1e-3)
    assert slow[0].weight_distance < slow[-1].weight_distance < fast[-1].weight_distance


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_the_logits_and_gradients_of_keras(activation, digits):
    model, pixels = Mlp(784, 10, (12, 8), activation), digits.validation.inputs
    weights = [tf.constant(3 * value) for value in model.initial(0)]
    stock = network(model, weights, "sgd", scaling(Scale.UNIT, pixels))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        ours = model.logits([value[tf.newaxis] for value in weights], tf.cast(pixels, tf.float32) / 255)[0]
        theirs = stock(tf.cast(pixels, tf.float32))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for one, other in zip(tape.gradient(ours, weights), tape.gradient(theirs, stock.trainable_weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)


class Contract(TrainerContract):
    """The contract on one trainer for all of its tests, because compiling takes seconds."""

    made = None

    def trainer(self):
        if self.made is None:
            type(self).made = self.make(self.optimizer, self.split())
        return released(self.made)


class TestOneLane(Contract):
    make = staticmethod(TRAINERS["lanes-1"])


class TestFourLanes(Contract):
    make = staticmethod(TRAINERS["lanes-4"])


class TestReference(Contract):
    make = staticmethod(TRAINERS["reference"])


@pytest.mark.parametrize("lane", [0, 3])
def test_a_lane_is_bit_identical_alone_and_beside_others_that_diverge(lane, free):
    alone = curve(free("adadelta"), job("adadelta"))
    trainer = free("adadelta", 4)
    for other in {0, 1, 2, 3} - {lane}:
        trainer.assign(other, job("adadelta", seed=other, number=other + 1, learning_rate=1e38 if other == 2 else 0.3))
    trainer.assign(lane, job("adadelta"))
    rounds = [trainer.train() for _ in range(3)]
    assert not rounds[0][2].finite
    assert _all(rows[lane] for rows in rounds) == _all(alone)


def test_a_refilled_lane_trains_as_if_alone_without_a_new_trace(free, digits):
    alone = curve(free("adam"), job("adam"))
    trainer = free("adam", 4)
    for lane in range(4):
        trainer.assign(lane, job("adam", seed=lane, number=lane, learning_rate=1e38 if lane == 1 else 0.01))
    trainer.train()
    traces = trainer.program.traces
    trainer.release(1)
    trainer.assign(1, job("adam"))
    refilled = [trainer.train()[1] for _ in range(3)]
    assert _all(refilled) == _all(alone)
    assert trainer.program.traces == traces
    assert Lanes(2, "adam", MODEL, 64, digits).program is trainer.program


def test_an_epoch_has_full_batches_and_uses_every_image():
    order = batches(1000, 64, seed=3, epoch=2)
    assert order.shape == (math.ceil(1000 / 64), 64)
    assert set(order.ravel()) == set(range(1000))
    assert len(set(order.ravel()[:1000])) == 1000
    np.testing.assert_array_equal(order, batches(1000, 64, seed=3, epoch=2))
    assert (order != batches(1000, 64, seed=3, epoch=3)).any()


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    kernel, bias, *_ = Mlp(784, 10).initial(0)
    limit = math.sqrt(6 / (784 + 128))
    assert 0.99 * limit < kernel.max() <= limit
    assert -limit <= kernel.min() < -0.99 * limit
    assert not bias.any()


def _all(rows):
    """The figures of every epoch, which are equal bit for bit or not at all."""
    return [(row.train_loss, row.train_accuracy, row.validation_loss, row.validation_accuracy) for row in rows]


TINY_STEPS = {"learning_rate": 3e-7, "epsilon": 1e-20}


@pytest.mark.parametrize("one_minus_rho", [1e-7, 4e-8, 3.1e-8])
def test_a_decay_rate_next_to_1_trains_as_in_keras(one_minus_rho, free, digits):
    hparams = OPTIMIZERS["rmsprop"].resolve(TINY_STEPS | {"one_minus_rho": one_minus_rho})
    one = Job(number=0, optimizer="rmsprop", hparams=hparams, seed=7, epochs=2)
    ours = curve(free("rmsprop"), one, epochs=2)
    stock = curve(Reference("rmsprop", MODEL, 64, digits), one, epochs=2)
    np.testing.assert_allclose(accuracies(ours), accuracies(stock), atol=0.004)
    np.testing.assert_allclose([r.train_loss for r in ours], [r.train_loss for r in stock], rtol=2e-3)


VARIANTS = [
    ("adam", {"amsgrad": 1.0}),
    ("rmsprop", {"momentum": 0.9, "centered": 1.0, "epsilon": 1e-4}),
]


@pytest.mark.parametrize(("optimizer", "changes"), VARIANTS)
def test_a_variant_beside_the_plain_rule_trains_as_in_keras(optimizer, changes, digits):
    trainer = Lanes(2, optimizer, MODEL, 64, digits, given=changes.keys())
    plain = curve(Lanes(2, optimizer, MODEL, 64, digits, given=()), job(optimizer), epochs=2)
    stock = curve(Reference(optimizer, MODEL, 64, digits), job(optimizer, **changes), epochs=2)
    trainer.assign(0, job(optimizer, **changes))
    trainer.assign(1, job(optimizer))
    rounds = [trainer.train() for _ in range(2)]
    np.testing.assert_allclose(accuracies([r[0] for r in rounds]), accuracies(stock), atol=0.004)
    np.testing.assert_allclose(accuracies([r[1] for r in rounds]), accuracies(plain), atol=0.004)
    with pytest.raises(ValueError, match=r"made without (amsgrad|momentum|centered)"):
        Lanes(2, optimizer, MODEL, 64, digits, given=()).assign(0, job(optimizer, **changes))


def test_lambs_norms_are_computed_for_each_lane():
    lanes = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    together = LANE_OPS.norm(tf.constant(lanes)).numpy()
    assert together.shape == (3, 1, 1)
    for lane, norm in zip(lanes, together, strict=True):
        assert norm.item() == pytest.approx(np.linalg.norm(lane), rel=1e-6)
