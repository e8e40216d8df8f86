"""Properties that only lanes have, and the contract of trainers on one lane and on four."""

import logging
import math
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from optbench.training.order import batches
from optbench.training.tensorflow.build import configure
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.ops import LANE_OPS
from tests.training import HIDDEN, MODEL, Contract, curve, job


def lanes(n):
    return lambda optimizer, split: Lanes(n, optimizer, Mlp.on(split.facts, HIDDEN), 64, split)


@pytest.fixture(scope="module")
def free(digits):
    """A function that returns `n` free lanes of an optimizer. They share what is compiled."""
    return lambda optimizer, n=2: Lanes(n, optimizer, MODEL, 64, digits)


@pytest.mark.parametrize("n", [1, 4])
def test_the_number_of_lanes_changes_no_figure(n, free):
    assert _all(curve(free("adadelta", n), job("adadelta"))) == _all(curve(free("adadelta"), job("adadelta")))


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


class TestOneLane(Contract):
    make = staticmethod(lanes(1))


class TestFourLanes(Contract):
    make = staticmethod(lanes(4))


def test_lanes_in_one_group_as_on_a_gpu_train_as_single_ones(digits):
    given = {"learning_rate"}
    with mock.patch("optbench.training.tensorflow.lanes.device", return_value="GPU"):
        together = Lanes(3, "adam", MODEL, 64, digits, given)
    assert [group.width for group in together.groups] == [3]
    jobs = [job("adam", seed=lane, learning_rate=10.0**-lane) for lane in range(1, 4)]
    for lane, one in enumerate(jobs):
        together.assign(lane, one)
    rounds = [together.train() for _ in range(3)]
    for lane, one in enumerate(jobs):
        alone = curve(Lanes(1, "adam", MODEL, 64, digits, given), one)
        losses = [row.train_loss for row in alone]
        assert [found[lane].train_loss for found in rounds] == pytest.approx(losses, rel=2e-3)
        assert rounds[-1][lane].validation_accuracy == pytest.approx(alone[-1].validation_accuracy, abs=0.01)


@pytest.mark.parametrize(
    ("function", "shown"),
    [("<bound method Program._epoch of <optbench.training.tensorflow.program.Program object>>", False), ("step", True)],
)
def test_only_tensorflows_advice_about_our_own_traces_is_not_shown(function, shown):
    """Each study has a program with traces of its own, and TensorFlow counts those of all studies together."""
    configure("lanes")
    text = f"5 out of the last 9 calls to {function} triggered tf.function retracing."
    record = logging.LogRecord("tensorflow", logging.WARNING, "", 0, text, None, None)
    assert bool(tf.get_logger().filter(record)) is shown


def test_each_batch_size_is_traced_once(digits):
    trainer = Lanes(2, "sgd", MODEL, 64, digits, {"learning_rate", "batch"})
    before = trainer.program.traces
    for sizes in ((16, 32), (32, 16), (64, 32)):
        for lane, batch in enumerate(sizes):
            trainer.assign(lane, job("sgd", learning_rate=0.01, batch=batch))
        assert {lane: row.finite for lane, row in trainer.train().items()} == {0: True, 1: True}
    assert trainer.program.traces == before + 3


def test_trainers_of_one_process_share_the_data(digits):
    one, other = (Lanes(2, optimizer, MODEL, 64, digits) for optimizer in ("adam", "sgd"))
    assert all(mine is theirs for mine, theirs in zip(one.train_set, other.train_set, strict=True))
    assert one.validation_set[0] is other.validation_set[0]


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


def test_lambs_norms_are_computed_for_each_lane():
    lanes = np.random.default_rng(1).normal(size=(3, 5, 4)).astype(np.float32)
    together = LANE_OPS.norm(tf.constant(lanes)).numpy()
    assert together.shape == (3, 1, 1)
    for lane, norm in zip(lanes, together, strict=True):
        assert norm.item() == pytest.approx(np.linalg.norm(lane), rel=1e-6)
