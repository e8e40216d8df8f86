"""Lanes train as stock Keras does, and stock Keras keeps the contract of trainers."""

import numpy as np
import pytest
import tensorflow as tf

from optbench.choices import Scale
from optbench.data import load
from optbench.data.scaling import scaling
from optbench.definition.data import DataSource
from optbench.definition.network import ACTIVATIONS
from optbench.optimizers import OPTIMIZERS
from optbench.training.contract import Job
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.reference import Reference, compiled
from tests.training import HIDDEN, MODEL, Contract, accuracies, curve, job


@pytest.fixture(scope="module")
def free(digits):
    """A function that returns `n` free lanes of an optimizer. They share what is compiled."""
    return lambda optimizer, n=2: Lanes(n, optimizer, MODEL, 64, digits)


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


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_the_logits_and_gradients_of_keras(activation, digits):
    model, pixels = Mlp(784, 10, (12, 8), activation), digits.validation.inputs
    weights = [tf.constant(3 * value) for value in model.initial(0)]
    stock = compiled(model.layers([value.numpy() for value in weights]), 784, "sgd", scaling(Scale.UNIT, pixels))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        given = tf.cast(pixels, tf.float32) / 255
        ours = model.forward([value[tf.newaxis] for value in weights], [], given, training=True).logits[0]
        theirs = stock(tf.cast(pixels, tf.float32))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for one, other in zip(tape.gradient(ours, weights), tape.gradient(theirs, stock.trainable_weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-2)


class TestReference(Contract):
    @staticmethod
    def make(optimizer, split):
        return Reference(optimizer, Mlp.on(split.facts, HIDDEN), 64, split)


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
    ("adam", {"weight_decay": 0.1, "learning_rate": 0.01, "schedule": 3.0, "final": 0.1}),
    ("sgd", {"global_clipnorm": 0.5, "learning_rate": 0.5, "schedule": 1.0, "warmup": 0.3, "final": 0.1}),
    ("lamb", {"global_clipnorm": 0.1, "label_smoothing": 0.2, "batch": 100.0}),
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
    np.testing.assert_allclose([r[0].train_loss for r in rounds], [r.train_loss for r in stock], rtol=2e-3)
    np.testing.assert_allclose([r[0].validation_loss for r in rounds], [r.validation_loss for r in stock], rtol=2e-3)
    with pytest.raises(ValueError, match=f"made without ({'|'.join(changes)})"):
        Lanes(2, optimizer, MODEL, 64, digits, given=()).assign(0, job(optimizer, **changes))
