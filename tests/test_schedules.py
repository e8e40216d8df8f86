"""The learning rates of lanes are those of Keras' schedules at every step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from optbench.exports import frameworks
from optbench.exports.companions import optax_schedule, torch_companions
from optbench.optimizers import Translation
from optbench.optimizers.knobs import SCHEDULES, warmup_steps
from optbench.training.tensorflow.schedules import Scheduled, factor
from tests.test_exports import built, plain

SGD = Translation("torch.optim.SGD", {"lr": 0.3})
STEPS, RATE = 60, 0.3
schedules = keras.optimizers.schedules


def rates(name, warmup=0.0, final=0.0, steps=STEPS):
    """The learning rates of a lane at every step of a trial."""
    hparams = {"learning_rate": RATE, "schedule": SCHEDULES.index(name), "warmup": warmup, "final": final}
    one = {key: tf.constant([float(value)]) for key, value in hparams.items()}
    rise = tf.constant([float(warmup_steps(hparams, steps))])
    lane = [factor(one, tf.constant([float(step)]), tf.constant([float(steps)]), rise)[0] for step in range(steps)]
    reference = Scheduled(hparams, steps)
    np.testing.assert_allclose(RATE * np.array(lane), [reference(step) for step in range(steps)], rtol=1e-5, atol=1e-8)
    return RATE * np.array(lane)


@pytest.mark.parametrize(
    ("name", "final", "keras_schedule"),
    [
        ("constant", 0.5, lambda step: RATE),
        ("cosine", 0.0, schedules.CosineDecay(RATE, STEPS)),
        ("cosine", 0.1, schedules.CosineDecay(RATE, STEPS, alpha=0.1)),
        ("linear", 0.2, schedules.PolynomialDecay(RATE, STEPS, end_learning_rate=0.2 * RATE)),
        ("exponential", 0.01, schedules.ExponentialDecay(RATE, STEPS, 0.01)),
    ],
)
def test_every_schedule_is_keras_own(name, final, keras_schedule):
    expected = [float(keras_schedule(step)) for step in range(STEPS)]
    np.testing.assert_allclose(rates(name, final=final), expected, rtol=1e-5, atol=1e-8)


def test_cosine_with_a_warmup_is_keras_own():
    expected = schedules.CosineDecay(0.0, 45, alpha=0.1, warmup_target=RATE, warmup_steps=15)
    found = rates("cosine", warmup=0.25, final=0.1)
    np.testing.assert_allclose(found, [float(expected(step)) for step in range(STEPS)], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warmup_rises_from_0_and_the_schedule_begins_after_it(name):
    found = rates(name, warmup=0.25, final=0.1)
    np.testing.assert_allclose(found[:16], RATE * np.arange(16) / 15, rtol=1e-5)
    np.testing.assert_allclose(found[15:], rates(name, final=0.1, steps=45), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "warmup", "final"),
    [
        ("constant", 0.25, 0.0),
        ("cosine", 0.25, 0.1),
        ("cosine", 0.0, 0.0),
        ("linear", 0.0, 0.2),
        ("exponential", 0.0, 0.1),
    ],
)
def test_an_exported_schedule_has_the_learning_rates_of_the_trial(name, warmup, final):
    hparams = {"learning_rate": RATE, "schedule": SCHEDULES.index(name), "warmup": warmup, "final": final}
    found = frameworks.keras("sgd", hparams, STEPS).arguments["learning_rate"]
    exported = getattr(schedules, found.name)(**found.arguments)
    expected = rates(name, warmup, final)
    np.testing.assert_allclose([float(exported(step)) for step in range(STEPS)], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("warmup", [0.0, 0.25])
@pytest.mark.parametrize("name", SCHEDULES)
def test_pytorch_and_optax_have_the_same_learning_rates(name, warmup):
    """Also those with a warmup that Keras lacks."""
    torch = pytest.importorskip("torch")
    hparams = {"learning_rate": RATE, "schedule": SCHEDULES.index(name), "warmup": warmup, "final": 0.1}
    if name == "constant" and not warmup:
        assert torch_companions(SGD, hparams, STEPS) == []
        return
    expected = rates(name, warmup, 0.1)
    rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    scheduler = built(plain(torch_companions(SGD, hparams, STEPS)[0].translation), rule)
    found = []
    for _ in range(STEPS):
        found.append(rule.param_groups[0]["lr"])
        rule.step()
        scheduler.step()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    pytest.importorskip("optax")
    schedule = built(plain(optax_schedule(hparams, STEPS, RATE)))
    np.testing.assert_allclose([float(schedule(step)) for step in range(STEPS)], expected, rtol=1e-5, atol=1e-8)
