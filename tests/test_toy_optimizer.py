"""A new optimizer, added as the manual says: what would be one new file, and one line in the list."""

from dataclasses import replace

import pytest

from optbench.errors import DefinitionError, StudyError
from optbench.exports import frameworks
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.contract import Hyperparameter, Optimizer, Rule, Translation, Translations
from optbench.optimizers.knobs import with_knobs
from optbench.training.contract import Job
from optbench.training.tensorflow.build import build
from tests.conftest import sweep_of


def update(ops, weight, gradient, state, hparams, step):
    """Gradient descent. It also keeps the mean of its gradients, which it never uses, in order to have a state."""
    mean = hparams["fade"] * state["mean"] + hparams["one_minus_fade"] * gradient
    return hparams["learning_rate"] * gradient, {"mean": mean}


TOY = Optimizer(
    name="toy",
    hyperparameters={"learning_rate": Hyperparameter(0.01), "fade": Hyperparameter(0.9, high=1.0, closed=True)},
    rule=Rule(("mean",), update, lambda ops, weight, state, hparams, step: hparams["learning_rate"]),
    translations=Translations(
        keras=None,
        torch=lambda h, steps: Translation("torch.optim.SGD", {"lr": h["learning_rate"]}),
        optax=None,
    ),
    colour="#000000",
)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "toy", with_knobs(TOY))  # what the list does with its line


SWEEP = {"optimizer": "toy", "space": {"learning_rate": [0.05, 0.1], "one_minus_fade": 0.2}, "trials": 2}


def test_a_sweep_file_may_name_it(monkeypatch):
    monkeypatch.delitem(OPTIMIZERS, "toy")
    with pytest.raises(DefinitionError, match="unknown optimizer 'toy'"):
        sweep_of(**SWEEP)
    monkeypatch.setitem(OPTIMIZERS, "toy", TOY)  # the models of a sweep file are imported already
    sweep = sweep_of(**SWEEP)
    assert sweep.optimizers == ("toy",)
    assert TOY.resolve({"one_minus_fade": 0.25}) == {"learning_rate": 0.01, "fade": 0.75}


def test_it_trains_in_lanes_as_sgd_does(digits):
    losses = []
    for name in ("toy", "sgd"):
        sweep = sweep_of(**SWEEP | {"optimizer": name, "space": {"learning_rate": [0.05, 0.1]}})
        trainer = build("lanes", sweep, name, digits, 2)
        job = Job(number=0, optimizer=name, hparams=OPTIMIZERS[name].resolve({"learning_rate": 0.05}), seed=3, epochs=2)
        trainer.assign(0, job)
        losses.append([trainer.train()[0].train_loss for _ in range(2)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_reference_trainer_trains_it_if_keras_has_a_class_for_it(digits, monkeypatch):
    simple = {"learning_rate": Hyperparameter(0.01)}
    rule = Rule((), lambda ops, w, g, state, h, step: (h["learning_rate"] * g, {}), TOY.rule.effective_lr)
    optimizer = replace(TOY, hyperparameters=simple, rule=rule, translations=replace(TOY.translations, keras="SGD"))
    monkeypatch.setitem(OPTIMIZERS, "toy", optimizer)
    sweep = sweep_of(**SWEEP | {"space": {"learning_rate": [0.05, 0.1]}})
    job = Job(number=0, optimizer="toy", hparams={"learning_rate": 0.05}, seed=3, epochs=2)
    losses = []
    for kind in ("lanes", "reference"):
        trainer = build(kind, sweep, "toy", digits, 2)
        trainer.assign(0, job)
        losses.append(trainer.train()[0].train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_exports_translate_it_or_say_that_they_cannot():
    assert frameworks.torch("toy", {"learning_rate": 0.1, "fade": 0.9}, 10).arguments == {"lr": 0.1}
    with pytest.raises(StudyError, match="Keras has no toy; expected another --format: json or toml"):
        frameworks.keras("toy", {"learning_rate": 0.1, "fade": 0.9}, 10)


def test_the_reference_trainer_refuses_it_if_keras_has_no_class_for_it(digits):
    trainer = build("reference", sweep_of(**SWEEP), "toy", digits, 2)
    with pytest.raises(DefinitionError, match="Keras has no toy"):
        trainer.assign(0, Job(number=0, optimizer="toy", hparams=TOY.defaults, seed=3, epochs=2))
