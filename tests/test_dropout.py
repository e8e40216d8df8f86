"""Dropout of dense layers: its random bits, its trainings beside Keras', and its way through a study."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import optbench
from optbench.definition import parse
from optbench.definition.network import MlpModel
from optbench.errors import DefinitionError
from optbench.training.tensorflow.dropout import Dropout, keys_of, mixed
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.mlp import Mlp
from optbench.training.tensorflow.reference import Reference
from tests.commands import in_process
from tests.conftest import TINY, sweep_of, write_toml
from tests.training import MODEL, curve, job

SEEDS = np.array([1, 2], np.uint32)


def dropped(step, layer=0, rates=(0.25, 0.5)):
    """Ones [2, 100, 50], after the dropout of that step and layer."""
    dropout = Dropout(tf.constant(rates), keys_of(SEEDS, tf.fill([2], float(step))))
    return dropout.applied(tf.ones((2, 100, 50)), layer).numpy()


def test_the_hash_is_that_of_its_source():
    def lowbias32(x):
        x = (x ^ x >> 16) * 0x7FEB352D % 2**32
        x = (x ^ x >> 15) * 0x846CA68B % 2**32
        return x ^ x >> 16

    numbers = [0, 1, 2, 12345, 2**31, 2**32 - 1]
    assert mixed(tf.constant(numbers, tf.uint32)).numpy().tolist() == [lowbias32(x) for x in numbers]


def test_every_lane_drops_its_own_fraction_and_keeps_the_mean():
    values = np.stack([dropped(step) for step in range(20)])
    for lane, rate in enumerate((0.25, 0.5)):
        own = values[:, lane]
        assert np.unique(own).tolist() == pytest.approx([0, 1 / (1 - rate)])
        # 100,000 draws: a fraction of 0.5 has a standard deviation of 0.0016, and one of a unit's 2,000 draws of 0.011
        assert (own == 0).mean() == pytest.approx(rate, abs=0.007)
        assert (own == 0).mean(axis=(0, 1)) == pytest.approx(rate, abs=0.055)


def test_steps_layers_and_seeds_drop_different_units():
    """Two independent masks of rate 0.5 agree in half of the units: of 5,000, within 0.028, four deviations."""
    rates = (0.5, 0.5)
    masks = [dropped(0, rates=rates)[0], dropped(0, rates=rates)[1], dropped(1, rates=rates)[0]]
    masks += [dropped(0, 2, rates)[0], dropped(2**20, rates=rates)[0]]
    for index, one in enumerate(masks):
        for other in masks[:index]:
            assert ((one == 0) == (other == 0)).mean() == pytest.approx(0.5, abs=0.028)
        shifted = np.roll(one, 1, axis=0)
        assert ((one == 0) == (shifted == 0)).mean() == pytest.approx(0.5, abs=0.028)


def test_nothing_is_dropped_at_rate_0_and_a_mask_is_the_same_in_any_group():
    assert (dropped(3, rates=(0.0, 0.5))[0] == 1).all()
    alone = Dropout(tf.constant([0.5]), keys_of(SEEDS[1:], tf.constant([3.0]))).applied(tf.ones((1, 100, 50)), 0)
    assert np.array_equal(alone[0], dropped(3)[1])


def test_a_trial_with_dropout_trains_about_as_in_keras_and_never_changes_its_neighbour(digits):
    """Keras draws other bits, so that the losses differ by chance; without dropout they are much smaller."""
    trainer = Lanes(2, "adam", MODEL, 64, digits, given={"dropout"})
    plain, ours = (curve(trainer, job("adam", learning_rate=0.01, dropout=rate)) for rate in (0.0, 0.5))
    stock = curve(Reference("adam", MODEL, 64, digits), job("adam", learning_rate=0.01, dropout=0.5))
    for own, kerass in zip(ours, stock, strict=True):
        assert own.train_loss == pytest.approx(kerass.train_loss, rel=0.1)
        assert own.validation_loss == pytest.approx(kerass.validation_loss, rel=0.2)
    assert ours[-1].train_loss > 2 * plain[-1].train_loss
    trainer.assign(0, job("adam", learning_rate=0.01, dropout=0.5))
    beside = curve(trainer, job("adam", learning_rate=0.01), lane=1)
    assert [row.train_loss for row in beside] == [row.train_loss for row in plain]
    again = Lanes(1, "adam", Mlp(784, 10, (16,), dropout=0.5), 64, digits, given=())
    rows = curve(again, job("adam", learning_rate=0.01))
    assert [row.train_loss for row in rows] == pytest.approx([row.train_loss for row in ours], rel=1e-4)


def test_dropout_goes_through_a_whole_study_and_its_exports(tmp_path):
    space = {"learning_rate": 0.01, "dropout": {"low": 0.1, "high": 0.6}}
    write_toml(tmp_path / "tiny.toml", TINY | {"optimizer": "adam", "space": space})
    assert re.search(r"adam .*dropout=0\.[1-6]", in_process("sweep", "tiny.toml", cwd=tmp_path))
    assert "compared exactly" in in_process("replay", "tiny", "best", cwd=tmp_path)
    best = optbench.open_study("tiny", f"sqlite:///{tmp_path}/storage/optbench.db").best
    rate = best.hyperparameters["dropout"]
    script = in_process("export", "tiny", "--format", "python", cwd=tmp_path)
    assert script.count(f"keras.layers.Dropout({rate!r})") == 1
    assert "dropout" not in in_process("export", "tiny", "--format", "keras", cwd=tmp_path)
    in_process("export", "tiny", "--model", "x.keras", cwd=tmp_path)
    layers = keras.models.load_model(tmp_path / "x.keras").layers
    assert [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)] == [pytest.approx(rate)]


def test_the_dropout_of_a_model_is_that_of_all_its_trials(tmp_path):
    sweep = TINY | {"model": {"hidden": [16, 8], "dropout": 0.2}}
    write_toml(tmp_path / "tiny.toml", sweep)
    in_process("sweep", "tiny.toml", cwd=tmp_path)
    assert "dropout = 0.2" in in_process("show", "tiny", cwd=tmp_path)
    assert "compared exactly" in in_process("replay", "tiny", "best", cwd=tmp_path)
    script = in_process("export", "tiny", "--format", "python", cwd=tmp_path)
    assert script.count("keras.layers.Dropout(0.2)") == 2
    write_toml(tmp_path / "tiny.toml", sweep | {"model": {"hidden": [16, 8]}})
    refused = in_process("sweep", "tiny.toml", cwd=tmp_path, code=2)
    assert "model.dropout" in refused
    assert parse(sweep, "x").model == MlpModel((16, 8), dropout=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"hidden": [], "dropout": 0.1}},
            "dropout follows hidden layers, but hidden = []; leave dropout out",
        ),
        ({"model": {"hidden": [8], "dropout": 1.0}}, "[model]: dropout = 1.0; expected"),
        ({"space": TINY["space"] | {"dropout": [0, 0.95]}}, "dropout = 0.95; expected 0 to 0.9"),
        (
            {"model": {"hidden": [8], "dropout": 0.1}, "space": TINY["space"] | {"dropout": [0, 0.5]}},
            "dropout is both in [space] and in [model]; expected one of them",
        ),
        (
            {
                "model": {"hidden": [8], "dropout": 0.1},
                "space": None,
                "trial": [{"dropout": 0.0, "learning_rate": 1.0}],
            },
            "dropout is both in [[trial]] and in [model]; expected one of them",
        ),
        (
            {"model": {"build": "sweeps/cnn.py:cnn"}, "space": TINY["space"] | {"dropout": [0, 0.5]}},
            "dropout is for [model] hidden; a function has dropout layers of its own",
        ),
    ],
)
def test_a_dropout_that_cannot_be_is_refused(changes, message):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        sweep_of(**changes)
