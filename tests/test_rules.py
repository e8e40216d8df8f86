"""The update rules match a step worked by hand, published trajectories, and Keras itself."""

import keras
import numpy as np
import pytest

from optbench.optimizers import OPTIMIZERS, one_minus
from optbench.optimizers.precision import arrays

GRADIENTS = [0.5, -0.25, 1, 0, -2, 0.125, 3, -0.01, 0.7, 0.3]
PAPER = {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6}
DEFAULTS = {name: optimizer.defaults for name, optimizer in OPTIMIZERS.items()}


class NumpyOps:
    """The array functions that rules need, for one weight tensor without lanes."""

    sqrt, abs, sign, minimum, maximum = np.sqrt, np.abs, np.sign, np.minimum, np.maximum
    where = staticmethod(np.where)

    def norm(self, x):
        return np.sqrt(np.sum(x * x))

    def lookup(self, values, index):
        return np.asarray(values, index.dtype)[index.astype(int)]


OPS = NumpyOps()


def keras_optimizer(name, hparams):
    known = OPTIMIZERS[name]
    return getattr(keras.optimizers, known.translations.keras)(**known.keras_arguments(hparams))


def trajectory(name, hparams, gradients, start=0.0, dtype=np.float64):
    """The weights after each step, beginning at `start`."""
    rule, hparams = OPTIMIZERS[name].rule, arrays(OPTIMIZERS[name], hparams, dtype)
    x = np.asarray(start, dtype)
    state = {key: np.zeros_like(x) for key in rule.kept()}
    path = []
    for step, gradient in enumerate(gradients, start=1):
        delta, state = rule.update(OPS, x, np.asarray(gradient, dtype), state, hparams, np.asarray(step, dtype))
        x = x - delta
        path.append(x)
    return np.array(path)


def test_the_first_step_of_adadelta_by_hand():
    # v = 0.05 * 0.25 = 0.0125; delta = sqrt(1e-6) / sqrt(0.012501) * 0.5
    assert trajectory("adadelta", PAPER, [0.5])[0] == pytest.approx(-(1e-6**0.5) / 0.012501**0.5 * 0.5, rel=1e-12)


def test_the_first_step_of_adam_by_hand():
    # m = 0.05, v = 0.00025; rate = 0.001 * sqrt(0.001) / 0.1; step = rate * 0.05 / (sqrt(0.00025) + 1e-7)
    expected = -0.001 * 0.001**0.5 / 0.1 * 0.05 / (0.00025**0.5 + 1e-7)
    assert trajectory("adam", DEFAULTS["adam"], [0.5])[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "hparams", "after"),
    [
        ("adadelta", PAPER, [-4.471957080294e-03, -1.585359683641e-03, 2.039476115124e-04, -1.379438556847e-02]),
        (
            "adadelta",
            DEFAULTS["adadelta"],
            [-1.414207905553e-06, -5.013418449884e-07, 6.449690639957e-08, -4.362282277835e-06],
        ),
        (
            "adam",
            DEFAULTS["adam"],
            [-9.999936754847e-04, -1.266329207921e-03, -2.216321587286e-03, -3.246298887904e-03],
        ),
    ],
)
def test_trajectories_match_published_values(name, hparams, after):
    assert trajectory(name, hparams, GRADIENTS)[[0, 1, 4, 9]] == pytest.approx(after, rel=1e-11)


SETTINGS = [
    ("adadelta", PAPER),
    ("adadelta", DEFAULTS["adadelta"]),
    ("adagrad", DEFAULTS["adagrad"]),
    ("adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 1e-4}),
    ("adam", DEFAULTS["adam"]),
    ("adam", {"learning_rate": 0.01, "beta_1": 0.0, "beta_2": 0.9, "epsilon": 0.1}),
    ("adamw", DEFAULTS["adamw"]),
    ("adamw", DEFAULTS["adamw"] | {"learning_rate": 0.1, "weight_decay": 0.5}),
    ("nadam", DEFAULTS["nadam"]),
    ("nadam", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.99, "epsilon": 1e-3}),
    ("rmsprop", DEFAULTS["rmsprop"]),
    ("rmsprop", {"learning_rate": 0.01, "rho": 0.5, "epsilon": 0.1}),
    ("rmsprop", {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-3, "momentum": 0.8}),
    ("rmsprop", {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-2, "momentum": 0.5, "centered": 1.0}),
    ("adam", DEFAULTS["adam"] | {"beta_2": 0.9, "amsgrad": 1.0}),
    ("adamw", DEFAULTS["adamw"] | {"beta_2": 0.9, "amsgrad": 1.0}),
    ("adamax", DEFAULTS["adamax"]),
    ("adamax", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-2}),
    ("lion", DEFAULTS["lion"]),
    ("lion", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.9, "weight_decay": 0.1}),
    ("lamb", DEFAULTS["lamb"]),
    ("lamb", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-2}),
    ("ftrl", DEFAULTS["ftrl"]),
    ("ftrl", DEFAULTS["ftrl"] | {"learning_rate": 0.1, "learning_rate_power": -0.7, "beta": 0.5}),
    (
        "ftrl",
        DEFAULTS["ftrl"]
        | {
            "learning_rate": 0.1,
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.01,
        },
    ),
    ("sgd", DEFAULTS["sgd"]),
    ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": 0.0}),
    ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": 1.0}),
]
TOLERANCE = {"adadelta": 1e-6, "nadam": 1e-4}  # 2e-5 for the others, because Keras rounds beta_2
USES_WEIGHTS = ("adamw", "ftrl", "lamb", "lion")  # rules that read the weights, so they must not start at 0
USES_SIGNS = ("lion",)  # rules that read only the signs of gradients


@pytest.mark.parametrize(("name", "hparams"), [one for one in SETTINGS if OPTIMIZERS[one[0]].translations.keras])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_50_steps_are_equal_to_kerass(name, hparams, scale):
    rng = np.random.default_rng(1)
    gradients = scale * rng.normal(size=(50, 7)).astype(np.float32)
    start = rng.normal(size=7).astype(np.float32) if name in USES_WEIGHTS else np.zeros(7, np.float32)
    variable = keras.Variable(start)
    optimizer = keras_optimizer(name, hparams)
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    ours = trajectory(name, hparams, gradients, start=start, dtype=np.float32)[-1]
    np.testing.assert_allclose(
        ours, np.asarray(variable), rtol=TOLERANCE.get(name, 2e-5), atol=2e-6 if name in USES_WEIGHTS else 1e-9
    )


@pytest.mark.parametrize(("name", "hparams"), SETTINGS)
def test_the_effective_lr_is_the_factor_of_a_constant_gradient(name, hparams):
    rule, hparams = OPTIMIZERS[name].rule, arrays(OPTIMIZERS[name], hparams, np.float64)
    # these change the weights independently of the gradient
    hparams |= {"weight_decay": 0.0, "l1_regularization_strength": 0.0, "l2_shrinkage_regularization_strength": 0.0}
    x, gradient = np.zeros(()), np.asarray(1.0 if name in USES_SIGNS else 0.7)
    state = {key: np.zeros_like(x) for key in rule.kept()}
    for step in map(np.float64, range(1, 301)):
        delta, new = rule.update(OPS, x, gradient, state, hparams, step)
        # AdaDelta's step uses the deltas from before this step
        used = new | {"deltas": state["deltas"]} if name == "adadelta" else new
        effective_lr, state = rule.effective_lr(OPS, x, used, hparams, step), new
        x = x - delta
    momentum_factor = 1 / (1 - hparams.get("momentum", 0.0))  # momentum sums a geometric series of equal steps
    assert delta == pytest.approx(momentum_factor * effective_lr * gradient, rel=1e-3)


def test_a_large_epsilon_turns_adadelta_into_sgd():
    hparams = {"learning_rate": 0.1, "rho": 0.95, "epsilon": 1e4}
    assert trajectory("adadelta", hparams, GRADIENTS, start=1.0)[-1] == pytest.approx(0.66350480, abs=1e-7)


def test_a_rule_broadcasts_over_lanes():
    lanes = trajectory("adadelta", {**PAPER, "learning_rate": [[1.0], [0.5]]}, [[[1.0] * 3] * 2] * 4, np.zeros((2, 3)))
    np.testing.assert_allclose(lanes[-1][1], lanes[-1][0] / 2)


@pytest.mark.parametrize("written", [0.05, 0.1, 3.1e-8, 4e-8, 1e-7, 0.004, 0.3, 1.0])
def test_one_minus_restores_the_written_number(written):
    assert one_minus(1 - written) == written


@pytest.mark.parametrize("rho", [0.9, 0.5123456789012345, 1 - 3.3333333333e-8, 0.0])
def test_one_minus_is_its_own_inverse(rho):
    assert 1 - one_minus(rho) == rho


def test_one_minus_of_a_number_with_many_digits_is_the_plain_difference():
    assert one_minus(0.12345678901234568) == 1 - 0.12345678901234568


@pytest.mark.parametrize("name", [name for name, known in OPTIMIZERS.items() if "rho" in known.hyperparameters])
def test_decay_rates_next_to_1_train_as_in_keras(name):
    hparams = {"learning_rate": 3e-7, "epsilon": 1e-20, "rho": 1 - 3.1e-8}
    gradients = np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32)
    variable = keras.Variable(np.zeros(7, np.float32))
    optimizer = keras_optimizer(name, hparams)
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    ours = trajectory(name, hparams, gradients, start=np.zeros(7), dtype=np.float32)[-1]
    np.testing.assert_allclose(ours, np.asarray(variable), rtol=2e-5)


def test_trials_of_version_1_keep_their_single_precision():
    old = arrays(OPTIMIZERS["rmsprop"], {"rho": 0.95}, numerics=1)
    new = arrays(OPTIMIZERS["rmsprop"], {"rho": 0.95})
    assert old["one_minus_rho"] == np.float32(1) - np.float32(0.95) != new["one_minus_rho"] == np.float32(0.05)
