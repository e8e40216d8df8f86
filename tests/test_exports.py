"""Exports match their schema, can be trained as sweeps and scripts, and equal the real frameworks over 50 steps."""

import ast
import io
import json
import math
import pydoc
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import keras
import numpy as np
import pytest

from optbench import exports
from optbench.data.dataset import facts_of_earlier
from optbench.definition import parse
from optbench.errors import StudyError
from optbench.exports import FORMATS, Choice, choose, frameworks
from optbench.optimizers import OPTIMIZERS, Translation
from optbench.optimizers.knobs import SCHEDULES
from optbench.scheduler.finals import Finalist
from optbench.scheduler.states import State
from optbench.storage import StudyRecord, TrialRecord
from tests.conftest import sweep_of

SCHEMA = json.loads((Path(exports.__file__).parent / "schema.json").read_text())
STEPS = 50
GRADIENTS = np.random.default_rng(1).normal(size=(STEPS, 7)).astype(np.float32)
START = np.random.default_rng(2).normal(size=7).astype(np.float32)


def hparams_of(optimizer, **changes):
    values = {"learning_rate": 0.01, "epsilon": 1e-4}
    values |= {"sgd": {"momentum": 0.9, "nesterov": 1.0}, "adamax": {"epsilon": 0.1}}.get(optimizer, {})
    known = OPTIMIZERS[optimizer]
    return known.resolve({k: v for k, v in (values | changes).items() if k in known.hyperparameters})


def choice_of(optimizer, number=3, **changes):
    sweep = sweep_of(optimizer=optimizer, space={"learning_rate": {"low": 0.1, "high": 1.0}}, trials=9)
    record = StudyRecord(
        facts=facts_of_earlier("digits"),
        study_id=1,
        name='it\'s a "study"',
        sweep=sweep,
        fingerprint=sweep.fingerprint({}),
        versions={"optuna": "5.0.0"},
        metric="validation accuracy",
        total=9,
        counts=dict.fromkeys(("complete", "pruned", "diverged", "running", "failed"), 3),
        best=0.9,
        epochs=18,
        changed=None,
        workers=0,
        origin=None,
    )
    given = {
        "number": number,
        "trial_id": 4,
        "state": State.COMPLETE,
        "value": 0.9,
        "last": 0.9,
        "optimizer": optimizer,
    }
    given |= {"params": {}, "hyperparameters": hparams_of(optimizer, **changes), "seed": 7, "epochs": 2, "lanes": 1}
    trial = TrialRecord(**(dict.fromkeys(field.name for field in fields(TrialRecord)) | given))
    return Choice(record, trial, "the best of 3 complete trials by validation accuracy")


@pytest.mark.parametrize("name", ['a"""+print("!")+"""', "it's \\", 'a" + "b', "x" * 300])
def test_the_name_of_a_study_cannot_inject_code_into_a_script(name):
    choice = choice_of("adadelta")
    script = FORMATS["python"]([replace(choice, study=replace(choice.study, name=name))])
    beginning = [ast.unparse(node) for node in ast.parse(script).body][:3]
    assert beginning == ["import os", "os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')", "import keras"]
    assert repr(name) in script.splitlines()[0]


def with_steps(optimizer, hparams):
    """A choice of a trial that takes 50 steps."""
    choice = choice_of(optimizer)
    sweep = replace(choice.study.sweep, epochs=STEPS, batch=1200)
    return replace(
        choice, study=replace(choice.study, sweep=sweep), trial=replace(choice.trial, hyperparameters=hparams)
    )


def keras_displacement(optimizer, hparams):
    content = json.loads(FORMATS["keras"]([with_steps(optimizer, hparams)]))
    rule = keras.saving.deserialize_keras_object(content)
    if optimizer != "lamb":  # Keras 3.15 cannot deserialize it by name
        assert type(keras.optimizers.deserialize(content)) is type(rule)
    variable = keras.Variable(START)
    for gradient in GRADIENTS:
        rule.apply([gradient], [variable])
    return np.asarray(variable) - START


def built(content, *first):
    """The object that exported JSON describes, called with the arguments `first` before its own."""
    arguments = {name: made_of(value, *first) for name, value in content["arguments"].items()}
    return pydoc.locate(content["class"])(*first, **arguments)


def made_of(value, *first):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [built(one, *first) for one in value]
    return built(value, *first) if isinstance(value, dict) else value


def plain(translation):
    """A translation as it is exported."""
    arguments = {
        name: [plain(one) for one in value]
        if isinstance(value, list) and value and isinstance(value[0], Translation)
        else plain(value)
        if isinstance(value, Translation)
        else value
        for name, value in translation.arguments.items()
    }
    return {"class": translation.name, "arguments": arguments}


def torch_displacement(optimizer, hparams):
    """What the exported configuration does in PyTorch in 50 steps, used as its knobs say."""
    torch = pytest.importorskip("torch")
    found = json.loads(FORMATS["torch"]([with_steps(optimizer, hparams)]))
    knobs = {one["knob"]: one for one in found["knobs"]}
    weight = torch.nn.Parameter(torch.tensor(START))
    rule = built(found, [weight])
    scheduler = built(knobs["schedule"], rule) if "schedule" in knobs else None
    for gradient in GRADIENTS:
        weight.grad = torch.tensor(gradient)
        if "global_clipnorm" in knobs:
            built(knobs["global_clipnorm"], [weight])
        rule.step()
        if scheduler is not None:
            scheduler.step()
    return weight.detach().numpy() - START, found


def optax_displacement(optimizer, hparams):
    """What the exported configuration does in optax in 50 steps, used as its knobs say."""
    optax = pytest.importorskip("optax")
    found = json.loads(FORMATS["optax"]([with_steps(optimizer, hparams)]))
    before = [built(one) for one in found["knobs"] if "before the optimizer" in one["use"]]
    after = [built(one) for one in found["knobs"] if "after the optimizer" in one["use"]]
    rule = optax.chain(*before, built(found), *after)
    weight, state = START, rule.init(START)
    for gradient in GRADIENTS:
        deltas, state = rule.update(gradient, state, weight)
        weight = optax.apply_updates(weight, deltas)
    return np.asarray(weight) - START, found


VARIANTS = [
    *((optimizer, {}) for optimizer in OPTIMIZERS),
    ("adam", {"amsgrad": 1.0, "beta_2": 0.9, "epsilon": 1e-3}),
    ("adamw", {"amsgrad": 1.0, "beta_2": 0.9, "epsilon": 1e-3}),
    ("rmsprop", {"momentum": 0.8}),
    ("rmsprop", {"momentum": 0.8, "centered": 1.0, "epsilon": 1e-2}),
    ("lion", {"weight_decay": 0.1}),
]
MISSING = {torch_displacement: {"ftrl", "lamb", "lion"}, optax_displacement: {"ftrl"}}


@pytest.mark.parametrize("displacement", [torch_displacement, optax_displacement])
@pytest.mark.parametrize(("optimizer", "changes"), VARIANTS)
def test_a_translation_is_exact_or_says_what_differs(optimizer, changes, displacement):
    hparams = hparams_of(optimizer, **changes)
    if optimizer in MISSING[displacement] or (displacement is optax_displacement and optimizer == "adamw" and changes):
        with pytest.raises(StudyError, match=f"(PyTorch|optax) has no {optimizer}.*expected another --format"):
            displacement(optimizer, hparams)
        return
    ours, (theirs, found) = keras_displacement(optimizer, hparams), displacement(optimizer, hparams)
    relative_difference = np.max(np.abs(theirs - ours)) / np.max(np.abs(ours))
    if found["exact"]:
        assert relative_difference < 2e-4
    else:
        assert 2e-4 < relative_difference < 0.5
        assert "epsilon" in found["difference"] or "momentum" in found["difference"]


COSINE, LINEAR, EXPONENTIAL = (float(SCHEDULES.index(name)) for name in ("cosine", "linear", "exponential"))
KNOB_VARIANTS = [
    ("adadelta", {"global_clipnorm": 1.5}),
    ("adadelta", {"schedule": COSINE, "warmup": 0.2, "final": 0.1}),
    ("adagrad", {"schedule": COSINE}),
    ("adagrad", {"schedule": LINEAR, "final": 0.3, "global_clipnorm": 2.0}),
    ("adagrad", {"schedule": EXPONENTIAL, "final": 0.05}),
    ("sgd", {"momentum": 0.0, "warmup": 0.5}),
    ("nadam", {"weight_decay": 0.2, "schedule": COSINE, "final": 0.2}),
    ("adam", {"weight_decay": 0.2, "schedule": LINEAR}),
]


@pytest.mark.parametrize("displacement", [torch_displacement, optax_displacement])
@pytest.mark.parametrize(("optimizer", "knobs"), KNOB_VARIANTS)
def test_knobs_are_translated_to_what_frameworks_have_for_them(optimizer, knobs, displacement):
    """Adam's epsilon stands elsewhere there, and optax' Nadam warms no momentum up, which the translations say."""
    hparams = hparams_of(optimizer, epsilon=1e-7, **knobs)
    ours, (theirs, found) = keras_displacement(optimizer, hparams), displacement(optimizer, hparams)
    relative_difference = np.max(np.abs(theirs - ours)) / np.max(np.abs(ours))
    assert relative_difference < (2e-4 if found["exact"] else 0.3 if optimizer == "nadam" else 0.02)


@pytest.mark.parametrize(("optimizer", "changes"), [("sgd", {}), ("rmsprop", {"momentum": 0.8}), ("lion", {})])
def test_optax_decays_weights_after_any_rule_also_while_the_learning_rate_changes(optimizer, changes):
    decay = {"weight_decay": 0.5, "schedule": COSINE, "final": 0.1}
    hparams = hparams_of(optimizer, **changes, **decay, **({"momentum": 0.0} if optimizer == "sgd" else {}))
    theirs, found = optax_displacement(optimizer, hparams)
    assert found["exact"]
    assert theirs == pytest.approx(keras_displacement(optimizer, hparams), rel=2e-4, abs=1e-6)


@pytest.mark.parametrize("displacement", [torch_displacement, optax_displacement])
def test_a_schedule_of_momentum_is_said_to_differ(displacement):
    hparams = hparams_of("sgd", momentum=0.9, schedule=LINEAR)
    ours, (theirs, found) = keras_displacement("sgd", hparams), displacement("sgd", hparams)
    assert "momentum" in found["difference"]
    assert np.max(np.abs(theirs - ours)) / np.max(np.abs(ours)) > 2e-4


def test_optax_lamb_says_which_weights_its_trust_ratio_takes():
    hparams = hparams_of("lamb", weight_decay=0.5)
    theirs, found = optax_displacement("lamb", hparams)
    assert "trust ratio" in found["difference"]
    assert theirs == pytest.approx(keras_displacement("lamb", hparams), rel=0.01, abs=0.01)


def test_decoupled_weight_decay_that_pytorch_lacks_is_refused():
    message = "PyTorch has no sgd with decoupled weight decay, and this trial has weight_decay = 0.1; expected another"
    with pytest.raises(StudyError, match=message):
        torch_displacement("sgd", hparams_of("sgd", weight_decay=0.1))


def test_label_smoothing_is_the_loss_that_each_framework_has_for_it():
    torch, optax = pytest.importorskip("torch"), pytest.importorskip("optax")
    hparams = hparams_of("sgd", label_smoothing=0.2)
    logits = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)
    labels = np.array([0, 3, 1, 2, 2, 0])
    one_hot = np.eye(4, dtype=np.float32)[labels]
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)(one_hot, logits)
    [knob] = json.loads(FORMATS["torch"]([with_steps("sgd", hparams)]))["knobs"]
    theirs = built(knob)(torch.tensor(logits), torch.tensor(labels))
    assert float(theirs) == pytest.approx(float(expected), rel=1e-5)
    [knob] = json.loads(FORMATS["optax"]([with_steps("sgd", hparams)]))["knobs"]
    smoothed = built(knob, one_hot)
    assert float(optax.softmax_cross_entropy(logits, smoothed).mean()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("change", [{"initial_accumulator_value": 0.0}, {"momentum": 0.0}, {"nesterov": 0.0}])
@pytest.mark.parametrize("displacement", [torch_displacement, optax_displacement])
def test_settings_that_switch_a_feature_off_are_translated_exactly(change, displacement):
    optimizer = "adagrad" if "initial_accumulator_value" in change else "sgd"
    hparams = hparams_of(optimizer, **change)
    assert displacement(optimizer, hparams)[0] == pytest.approx(
        keras_displacement(optimizer, hparams), rel=1e-4, abs=1e-6
    )


def test_the_stated_sizes_of_differences_are_right():
    hparams = hparams_of("adam", beta_2=0.999)
    difference = frameworks.torch("adam", hparams, 4690).difference
    assert "x31.6 at step 1, x1.63 at step 469, x1 at step 4690" in difference
    rms = frameworks.torch("rmsprop", hparams_of("rmsprop", epsilon=1e-4), 9)
    v = np.logspace(-12, 4, 1000)
    smaller = 1 - np.sqrt(v + 1e-4) / (np.sqrt(v) + rms.arguments["eps"])
    assert f"up to {100 * smaller.max():.0f} % smaller" in rms.difference
    warm = [0.9 / (0.9 * (1 - 0.5 * 0.96**t)) for t in (1, 50)]
    assert [f"{size:.2f}" for size in warm] == ["1.92", "1.07"]


def test_torchs_adam_with_the_stated_factor_makes_the_same_first_step_as_kerass():
    torch = pytest.importorskip("torch")
    hparams = hparams_of("adam", beta_2=0.999, epsilon=0.1)
    weight = torch.nn.Parameter(torch.zeros(1))
    rule = torch.optim.Adam([weight], lr=0.01, eps=0.1 / math.sqrt(1 - 0.999))
    weight.grad = torch.tensor([0.5])
    rule.step()
    variable = keras.Variable([0.0])
    keras.optimizers.Adam(**hparams).apply([np.array([0.5], np.float32)], [variable])
    assert float(weight.detach()) == pytest.approx(float(variable[0]), rel=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_json_exports_match_their_schema(optimizer):
    choices = [choice_of(optimizer), choice_of(optimizer, number=5)]
    one, two = json.loads(FORMATS["json"](choices[:1])), json.loads(FORMATS["json"](choices))
    finalist = Finalist(trial=3, scores={7: 0.75, 8: 0.85}, rounds=2, searched=0.9)
    raced = json.loads(FORMATS["json"]([replace(choices[0], finalist=finalist)]))
    for content in (one, two, raced):
        jsonschema.validate(content, SCHEMA)
    assert one["finals"] is None
    assert (raced["finals"]["mean"], raced["finals"]["seeds"]) == (pytest.approx(0.8), 2)
    assert raced["finals"]["single_run_minus_mean"] == pytest.approx(0.1)
    assert one["hyperparameters"] == choices[0].trial.hyperparameters
    assert [found["trial"] for found in two] == [3, 5]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(one | {"value": "high"}, SCHEMA)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_toml_export_is_a_sweep_of_the_same_trials(optimizer):
    choices = [choice_of(optimizer, epsilon=0.1234567890123456e-7), choice_of(optimizer, number=5, nesterov=0.0)]
    sweep = parse(tomllib.loads(FORMATS["toml"](choices)), "export")
    assert [trial.params for trial in sweep.fixed] == [choice.trial.hyperparameters for choice in choices]
    assert [trial.seed for trial in sweep.fixed] == [7, 7]
    assert sweep.data.validation == 300


def test_an_exported_script_trains(tmp_path):
    choice = choice_of("sgd", label_smoothing=0.1, schedule=COSINE)
    script = FORMATS["python"]([choice])
    file = tmp_path / "train.py"
    file.write_text(script)
    run = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith("test accuracy 0.")
    assert len(script.splitlines()) < 45
    with pytest.raises(StudyError, match="leave --top out"):
        FORMATS["python"]([choice, choice])


def test_the_script_of_a_data_set_of_tensorflow_datasets_loads_its_images(monkeypatch):
    rng = np.random.default_rng(0)
    parts = {
        part: (rng.integers(0, 256, (n, 28, 28, 1), np.uint8), rng.integers(0, 10, n))
        for part, n in (("train", 64), ("test", 32))
    }
    fake = SimpleNamespace(load=lambda name, **_: parts, as_numpy=lambda value: value)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)
    choice = choice_of("sgd")
    sweep = replace(choice.study.sweep, data=replace(choice.study.sweep.data, name="mnist"), epochs=1)
    script = FORMATS["python"]([replace(choice, study=replace(choice.study, sweep=sweep))])
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as printed:
        exec(script, names)
    assert names["x_train"].shape == (64, 28, 28)
    assert 0 <= float(printed.getvalue().rpartition("test accuracy ")[2]) <= 1


def test_pruned_and_diverged_trials_are_never_chosen():
    study = choice_of("adam").study
    ends = [(State.PRUNED, 0.99), (State.DIVERGED, 0.98), (State.COMPLETE, 0.5), (State.COMPLETE, 0.6)]
    rows = [
        replace(choice_of("adam", number=n, learning_rate=0.01 * (n + 1)).trial, state=state, value=value)
        for n, (state, value) in enumerate(ends)
    ]
    found = choose(study, rows, None, top=9)
    assert [choice.trial.number for choice in found] == [3, 2]
    assert [choice.why.split(" of")[0] for choice in found] == ["the best", "rank 2"]
