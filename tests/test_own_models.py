"""A network of one's own function: in lanes, in the reference, through a whole study, and what is refused."""

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stdout
from dataclasses import replace

import jsonschema
import keras
import numpy as np
import pytest

import optbench
from optbench.choices import Scale
from optbench.data import load
from optbench.data.dataset import facts_of_earlier
from optbench.data.scaling import scaling
from optbench.definition import load as load_sweep
from optbench.definition import parse
from optbench.definition.data import DataSource
from optbench.definition.network import BuiltModel
from optbench.errors import DefinitionError, OutputError, StudyError
from optbench.optimizers import OPTIMIZERS
from optbench.storage import find_study, open_storage
from optbench.testing.trainers import DIVERGES, TrainerContract, curve, figures, job
from optbench.training.tensorflow.keras_model import KerasModel, keras_model
from optbench.training.tensorflow.lanes import Lanes
from optbench.training.tensorflow.reference import Reference
from optbench.training.tensorflow.saving import save
from optbench.worker.code import check_code, from_own_file
from optbench.worker.creation import Relations, make_study
from optbench.worker.data import load_data
from optbench.worker.session import Session
from tests.commands import in_process, run_page
from tests.conftest import ROOT, TINY, write_toml

SOURCE = """
import keras
import numpy as np
import tensorflow as tf
from keras import layers

def dense(shape, classes, units=64, activation="relu"):
    return keras.Sequential([
        layers.Input(shape), layers.Flatten(), layers.Dense(units, activation), layers.Dense(classes),
    ])

def normal(shape, classes):
    return keras.Sequential([
        layers.Input(shape), layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(),
        layers.Dense(classes, kernel_regularizer=keras.regularizers.L2(1e-3)),
    ])

def dropped(shape, classes):
    return keras.Sequential([
        layers.Input(shape), layers.Flatten(), layers.Dense(32, "relu"), layers.Dropout(0.3),
        layers.BatchNormalization(), layers.Dense(classes),
    ])

def convolved(shape, classes):
    return keras.Sequential([
        layers.Input(shape), layers.Reshape((*shape, 1)), layers.Conv2D(4, 3, strides=3, activation="relu"),
        layers.Flatten(), layers.Dense(classes),
    ])

def shifted(shape, classes):
    def shift(images):
        by_one = tf.tile([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], (tf.shape(images)[0], 1))
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images, transforms=by_one, output_shape=shape, fill_value=0.0, interpolation="NEAREST"
        )

    return keras.Sequential([
        layers.Input(shape), layers.Reshape((*shape, 1)), layers.Lambda(shift), layers.Flatten(), layers.Dense(classes),
    ])

def leaving(shape, classes):
    raise SystemExit("bye")

def random_shape(shape, classes):
    import random

    units = random.randint(2, 1000)
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(units), layers.Dense(classes)])


def two_outputs(shape, classes):
    inputs = layers.Input(shape)
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(classes)(flat), layers.Dense(classes)(flat)])


class Wrong(layers.Layer):
    def call(self, inputs):
        if not isinstance(inputs, keras.KerasTensor):
            raise RuntimeError("the real reason")
        return inputs


def wrong_inside(shape, classes):
    return keras.Sequential([layers.Input(shape), Wrong(), layers.Flatten(), layers.Dense(classes)])


def softmax(shape, classes):
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes, "softmax")])

def sigmoid(shape, classes):
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes, "sigmoid")])

def narrow(shape, classes):
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes - 1)])

def flat(shape, classes):
    return keras.Sequential([layers.Input((7,)), layers.Dense(classes)])

def two(shape, classes):
    one, other = layers.Input(shape), layers.Input(shape)
    return keras.Model([one, other], layers.Dense(classes)(layers.Flatten()(one + other)))

def compiled(shape, classes):
    model = dense(shape, classes)
    model.compile("adam", "mse")
    return model

class Own(keras.Sequential):
    def train_step(self, data):
        return {}

def own_step(shape, classes):
    return Own([layers.Input(shape), layers.Flatten(), layers.Dense(classes)])

def nothing(shape, classes):
    return None

def failing(shape, classes):
    raise ValueError("no such thing\\nand more")

def nested(shape, classes):
    inner = keras.Sequential([layers.Flatten(), layers.Dense(classes, "softmax")])
    return keras.Sequential([layers.Input(shape), inner])

class OwnLoss(keras.Sequential):
    def compute_loss(self, *given, **more):
        return 0.0

def own_loss(shape, classes):
    return OwnLoss([layers.Input(shape), layers.Flatten(), layers.Dense(classes)])

def bounded(shape, classes):
    limit = keras.constraints.MaxNorm(1)
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes, kernel_constraint=limit)])

def half(shape, classes):
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes, dtype="float16")])

def printing(shape, classes):
    print("made a network")
    return dense(shape, classes)

def mixed(shape, classes):
    last = layers.Dense(classes, dtype="mixed_float16")
    return keras.Sequential([layers.Input(shape), layers.Flatten(), last])

def random_weights(shape, classes):
    start = keras.initializers.Constant(np.random.normal())
    return keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(classes, kernel_initializer=start)])

class OnlyEager(keras.layers.Layer):
    def call(self, inputs, training=False):
        if training and tf.reduce_mean(inputs) > 0:
            return inputs
        return 2 * inputs

def only_eager(shape, classes):
    return keras.Sequential([layers.Input(shape), OnlyEager(), layers.Flatten(), layers.Dense(classes)])

class BrokenInTraining(keras.layers.Layer):
    def call(self, inputs, training=False):
        return {}["scale"] * inputs if training else inputs

def broken_in_training(shape, classes):
    return keras.Sequential([
        layers.Input(shape), layers.Dropout(0.5), BrokenInTraining(), layers.Flatten(), layers.Dense(classes),
    ])

class Subclassed(keras.Model):
    def __init__(self, classes, drop):
        super().__init__()
        self.flat, self.hidden, self.out = layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(classes)
        self.drop = layers.Dropout(drop)

    def call(self, inputs):
        return self.out(self.drop(self.hidden(self.flat(inputs))))

def subclassed(shape, classes, drop=0.0):
    return Subclassed(classes, drop)

def without_input(shape, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(16, "relu"), layers.Dense(classes)])

def other_function(shape, classes=10, units=3):
    return dense(shape, classes, units)

def backwards(classes, shape):
    return dense(shape, classes)

def fixed(shape, classes):
    return keras.Sequential([layers.Input(shape), layers.Flatten()])
"""


def model(function, **arguments):
    return BuiltModel(f"models.py:{function}", SOURCE, arguments)


def lanes(n, split, function, optimizer="adam"):
    return Lanes(n, optimizer, keras_model(model(function), split.facts), 64, split)


class TestDense(TrainerContract):
    """The contract of trainers, with a Keras model in place of the built-in network."""

    made = None

    def make(self, optimizer, split):
        return lanes(2, split, "dense", optimizer)

    def trainer(self):
        type(self).made = self.made or super().trainer()
        for lane in range(2):
            self.made.release(lane)
        return self.made


@pytest.mark.parametrize(
    ("function", "xla"),
    [("normal", True), ("convolved", False), ("subclassed", True), ("without_input", True), ("shifted", False)],
)
def test_lanes_train_as_fit_does(function, xla, digits):
    ours = lanes(2, digits, function)
    stock = Reference("adam", keras_model(model(function), digits.facts), 64, digits)
    assert ours.program.network.xla is xla
    pairs = zip(*(curve(trainer, job("adam", learning_rate=0.01), 3) for trainer in (ours, stock)), strict=True)
    for mine, other in pairs:
        np.testing.assert_allclose(other.train_accuracy, mine.train_accuracy, atol=0.005)
        np.testing.assert_allclose(other.validation_accuracy, mine.validation_accuracy, atol=0.01)
        np.testing.assert_allclose(other.train_loss, mine.train_loss, rtol=5e-3)
        np.testing.assert_allclose(other.validation_loss, mine.validation_loss, rtol=2e-2)


@pytest.mark.parametrize("knob", ["weight_decay", "global_clipnorm", "label_smoothing"])
def test_knobs_work_on_a_network_of_ones_own_as_in_fit(knob, digits):
    """Regularizers and batch statistics included: a norm is that of the trained weights' gradients."""
    one = job("adam", learning_rate=0.01, **{knob: 0.1})
    network = keras_model(model("normal"), digits.facts)
    ours = curve(Lanes(1, "adam", network, 64, digits, {knob}), one, 2)
    stock = curve(Reference("adam", network, 64, digits), one, 2)
    plain = curve(lanes(1, digits, "normal"), job("adam", learning_rate=0.01), 2)
    np.testing.assert_allclose([row.train_loss for row in stock], [row.train_loss for row in ours], rtol=5e-3)
    assert abs(plain[-1].train_loss - ours[-1].train_loss) > 0.01 * ours[-1].train_loss


def test_dropout_of_a_network_of_ones_own_trains_as_in_fit_on_average(digits):
    """Both draw other random numbers, so that single trainings differ."""
    network, jobs = (
        keras_model(model("dropped"), digits.facts),
        [job("adam", seed=s, learning_rate=0.01) for s in range(3)],
    )
    ours, stock = (
        np.mean([curve(trainer, one, 3)[-1].train_loss for one in jobs])
        for trainer in (Lanes(1, "adam", network, 64, digits), Reference("adam", network, 64, digits))
    )
    assert ours == pytest.approx(stock, rel=0.1)


@pytest.mark.parametrize("function", ["dropped", "convolved"])
def test_a_lane_repeats_bit_for_bit_beside_one_that_diverges_and_refills_make_no_trace(function, digits):
    trainer, one = lanes(3, digits, function), job("adam", learning_rate=0.01)
    alone = figures(curve(trainer, one, lane=1))
    traces = trainer.program.traces
    for lane, rate in ((0, DIVERGES), (2, 0.02)):
        trainer.assign(lane, job("adam", seed=lane, number=lane + 1, learning_rate=rate))
    assert figures(curve(trainer, one, lane=1)) == alone
    assert trainer.program.traces == traces
    other = figures(curve(trainer, replace(one, seed=8), lane=1))
    assert other != alone


def test_layers_inside_a_subclassed_model_know_that_they_train(digits):
    one = job("adam", learning_rate=0.01)
    plain, dropped = (
        curve(Lanes(1, "adam", keras_model(model("subclassed", drop=drop), digits.facts), 64, digits), one, 1)[0]
        for drop in (0.0, 0.8)
    )
    assert dropped.train_loss > plain.train_loss + 0.1


def test_making_networks_leaves_pythons_random_numbers_alone(digits):
    import random

    random.seed(5)
    expected = random.Random(5).random()
    keras_model(model("dropped"), digits.facts).initial(3)
    assert random.random() == expected


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("softmax", "ends with a softmax; expected logits"),
        ("narrow", r"returns shape \(4, 9\) for 4 inputs; expected logits of shape \(4, 10\)"),
        ("flat", r"takes inputs of shape \(7,\); expected one of shape \(28, 28\)"),
        ("two", r"takes inputs of shape \(28, 28\), \(28, 28\); expected one of shape \(28, 28\)"),
        ("compiled", "returned a compiled model"),
        ("own_step", "returned a model with a train_step of its own"),
        ("nothing", "returned NoneType; expected a keras.Model"),
        ("failing", "raised ValueError: no such thing$"),
        ("sigmoid", "ends with a sigmoid, or something like it; expected logits"),
        ("fixed", r"has 0 trainable weights; expected 1 to 20,000,000"),
        ("nested", "ends with a softmax"),
        ("own_loss", "returned a model with a compute_loss of its own"),
        ("bounded", "has a constraint on its weights"),
        ("leaving", "raised SystemExit: bye"),
        ("half", "has weights of type float16; expected float32"),
        ("mixed", "returns float16; expected float32"),
        ("random_weights", "made other initial values the second time"),
        ("random_shape", "made weights of other shapes with another seed; expected the same shapes in every trial"),
        ("two_outputs", r"returns 2 outputs; expected one: logits of shape \(4, 10\) for 4 inputs"),
        ("wrong_inside", r"raised RuntimeError: the real reason \(Exception encountered when calling Wrong.call\(\)\)"),
        ("only_eager", "raised OperatorNotAllowedInGraphError in training: "),
        ("broken_in_training", "raised KeyError in training: "),
    ],
)
def test_a_function_that_makes_no_such_network_is_refused(function, message, digits):
    with pytest.raises(DefinitionError, match=rf"\[model\] build: models.py:{function} {message}"):
        KerasModel(model(function), digits.facts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"build": "models.py"}, "build = .*models.py'; expected a file or a module with a function"),
        ({"build": "missing.py:cnn"}, "missing.py cannot be read: No such file"),
        ({"build": "models.py:dens"}, r"defines no function 'dens' itself \(.*\); did you mean 'dense'"),
        ({"build": "broken.py:cnn"}, "broken.py is not valid Python: .* in line 1"),
        ({"build": "no_such_module.models:cnn"}, "Python finds no such module"),
        (
            {"build": "models.py:backwards"},
            r"has backwards\(classes, shape\); expected backwards\(shape, classes, ...\)",
        ),
        (
            {"build": "models.py:dense", "arguments": {"units": float("nan")}},
            "arguments has units = nan; expected finite",
        ),
        ({"build": "models.py:dense", "arguments": {"shape": [3]}}, "for parameters other than shape and classes"),
        ({"build": "no_such_module:cnn"}, "Python finds no such module"),
        ({"build": "models.py:dense", "hidden": [3]}, "unknown key 'hidden'"),
        ({"build": 3}, "build = 3; expected a text in quotes"),
        ({"build": "models.py:dense", "arguments": 3}, "arguments = 3; expected a table of keys"),
        ({"build": "models.py:dense", "arguments": {"unit": 3}}, None),
    ],
)
def test_a_build_that_names_no_function_is_refused_in_one_line(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def cnn(:\n")
    if message is None:
        found = parse(TINY | {"model": given}, "x").model
        with pytest.raises(DefinitionError, match=r"raised TypeError: .*unit"):
            KerasModel(found, load(DataSource("iris", 0.2), 0).facts)
        return
    with pytest.raises(DefinitionError, match=message) as refused:
        parse(TINY | {"model": given}, "x")
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder with a sweep of a network of one's own on iris, trained."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "models.py").write_text(SOURCE)
    changes = {"name": "own", "data": {"name": "iris", "validation": 0.2}, "batch": 16, "trials": 3}
    write_toml(folder / "own.toml", TINY | changes | {"model": {"build": "models.py:dropped"}})
    out = in_process("sweep", "own.toml", "--storage", "own.db", cwd=folder)
    assert "3/3 trials, done" in out
    return folder


def test_a_study_keeps_the_function_and_replays_with_its_file(swept):
    out = in_process("replay", "own", 1, "--storage", "own.db", cwd=swept)
    assert "compared exactly" in out
    shown = in_process("show", "own", "--storage", "own.db", cwd=swept)
    assert "models.py:dropped" in shown.replace("\n", "")
    assert "import keras" not in shown


def test_without_its_file_a_function_runs_only_if_it_is_allowed_to(swept):
    file, text = swept / "models.py", (swept / "models.py").read_text()
    replay = ["replay", "own", 1, "--storage", "own.db"]
    file.write_text(text + "\n# changed\n")
    try:
        refused = in_process(*replay, cwd=swept, code=2)
        assert "models.py has another text; restore the file" in refused
        other = in_process("sweep", "own.toml", "--trials", 4, "--storage", "own.db", cwd=swept, code=2)
        assert "model.sha256 is" in other
        file.unlink()
        assert "there is no" in in_process(*replay, cwd=swept, code=2)
        assert "compared exactly" in in_process(*replay, "--allow-code", cwd=swept)
    finally:
        file.write_text(text)


def test_a_database_cannot_choose_what_runs_here(swept, tmp_path):
    """A finals study that somebody planted, with another function, is not trained, though its search may be."""
    shutil.copytree(swept, tmp_path / "copy")
    folder = tmp_path / "copy"
    mark, url = folder / "it-ran", f"sqlite:///{folder}/own.db"
    evil = SOURCE + f"\nfrom pathlib import Path\nPath({str(mark)!r}).touch()\n"
    with closing(open_storage(url)) as storage:
        search = find_study(storage, "own")
        planted = replace(search.sweep, name="planted", trials=9, model=replace(search.sweep.model, source=evil))
        make_study(
            storage, planted, "planted", load_data(search.sweep, "lanes", None).digests, Relations(), search.facts
        )
        with pytest.raises(StudyError, match=r"models.py has another text"):
            Session(storage, "planted", data=load_data(search.sweep, "lanes", None)).run(lambda: None)
    assert "has another text" in in_process("resume", "planted", "--storage", url, cwd=folder, code=2)
    worker, environment = [sys.executable, "-m", "optbench.worker", "planted"], os.environ | {"OPTBENCH_STORAGE": url}
    refused = subprocess.run(worker, cwd=folder, env=environment, capture_output=True, text=True)
    assert (refused.returncode, "--allow-code" in refused.stderr) == (2, True)
    assert not mark.exists()


@pytest.mark.parametrize("change", ["everybody", "missing", "another function"])
def test_a_file_that_others_control_does_not_run(change, tmp_path):
    file = tmp_path / "models.py"
    file.write_text(SOURCE)
    held = BuiltModel(f"{file}:dense", SOURCE)
    check_code(held, allowed=False)
    if change == "everybody":
        file.chmod(0o666)
    elif change == "missing":
        file.unlink()
    else:
        held = replace(held, build=f"{file}:backwards")
    with pytest.raises(StudyError, match="type `chmod o-w .*--allow-code" if change == "everybody" else "--allow-code"):
        check_code(held, allowed=False)
    check_code(held, allowed=True)


def test_a_function_is_taken_from_ones_own_file_only_if_that_has_the_text(tmp_path):
    """A database names neither the file that runs nor the folder that it finds its neighbours in."""
    file = tmp_path / "models.py"
    file.write_text(SOURCE)
    held = BuiltModel("/elsewhere/models.py:dense", SOURCE, {"units": 3})
    own = from_own_file(held, str(file))
    assert (own.build, own.arguments) == (f"{file}:dense", {"units": 3})
    check_code(own, allowed=False)
    for other, place in ((replace(held, source=SOURCE + "# changed\n"), str(file)), (held, None), (held, "no_module")):
        assert from_own_file(other, place) is other
        with pytest.raises(StudyError, match="--allow-code"):
            check_code(other, allowed=False)


def test_other_arguments_or_another_text_make_another_study():
    held = BuiltModel("models.py:dense", SOURCE)
    sweep = parse(TINY, "x")
    prints = [
        replace(sweep, model=model).fingerprint({})
        for model in (held, replace(held, arguments={"units": 3}), replace(held, source=SOURCE + "# changed\n"))
    ]
    assert prints[0] not in prints[1:]
    assert replace(sweep, model=replace(held, build="other/models.py:dense")).fingerprint({}) == prints[0]


def test_a_module_is_found_without_importing_the_packages_it_is_in(tmp_path, monkeypatch):
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "nets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    found = parse(TINY | {"model": {"build": "own_package.nets:dense"}}, "x").model
    assert (found.file, found.source, found.shown) == (None, SOURCE, "own_package.nets:dense")
    check_code(found, allowed=False)
    assert KerasModel(found, load(DataSource("iris", 0.2), 0).facts).classes == 3
    with pytest.raises(DefinitionError, match="Python finds no such module"):
        parse(TINY | {"model": {"build": "own_package.nets.more:dense"}}, "x")


def test_its_script_trains_the_same_network(tmp_path):
    (tmp_path / "models.py").write_text(SOURCE)
    changes = {"name": "scripted", "trials": 2, "model": {"build": "models.py:dense", "arguments": {"units": 8}}}
    write_toml(tmp_path / "scripted.toml", TINY | changes)
    in_process("sweep", "scripted.toml", "--storage", "own.db", cwd=tmp_path)
    assert [trial.xla for trial in optbench.open_study("scripted", str(tmp_path / "own.db")).trials] == [True, True]
    script = in_process("export", "scripted", "--format", "python", "--storage", "own.db", cwd=tmp_path)
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as printed:
        exec(script, names)
    assert [layer.name.split("_")[0] for layer in names["model"].layers] == ["rescaling", "sequential"]
    assert names["model"].output_shape == (None, 10)
    assert float(printed.getvalue().rpartition("test accuracy ")[2]) > 0.1
    words = ("export", "scripted", "--format", "python", "--storage", "own.db")
    assert "--allow-code is for --model" in in_process(*words, "--allow-code", cwd=tmp_path, code=2)
    (tmp_path / "models.py").write_text(SOURCE + "# changed")
    assert "models.py has another text" in in_process(*words, cwd=tmp_path, code=2)
    with pytest.raises(StudyError, match=r"models.py has another text"):
        optbench.open_study("scripted", str(tmp_path / "own.db")).export("python")


def test_its_script_loads_data_that_optbench_splits_through_optbench(swept):
    script = in_process("export", "own", "--format", "python", "--storage", "own.db", cwd=swept)
    names: dict[str, object] = {}
    with redirect_stdout(io.StringIO()) as printed:
        exec(script, names)
    assert [len(names[name]) for name in ("x_train", "x_test")] == [120, 30]
    assert names["x_train"].mean(axis=0) == pytest.approx([0] * 4, abs=1e-5)
    assert float(printed.getvalue().rpartition("test accuracy ")[2]) > 1 / 3


def test_the_same_function_in_another_folder_joins_the_study(swept, tmp_path):
    """A worker elsewhere has the sweep and its function in a folder of its own: its own file is what it trusts."""
    url = f"sqlite:///{tmp_path}/own.db"
    sweep = replace(load_sweep(str(swept / "own.toml"), {}), name="joined", trials=2)
    data = load_data(sweep, "lanes", None)
    sweep = replace(sweep, model=replace(sweep.model, build=f"{tmp_path}/gone/models.py:dropped"))
    for name in ("joined", "refused"):
        with closing(open_storage(url, create=True)) as storage:
            make_study(storage, replace(sweep, name=name), name, data.digests, Relations(), data.facts)
    for name in ("models.py", "own.toml"):
        shutil.copy(swept / name, tmp_path / name)
    command = ("sweep", "own.toml", "--study", "joined", "--trials", 2, "--workers", 2, "--storage", url)
    assert "joined: 2/2 trials, done" in in_process(*command, cwd=tmp_path)
    assert "--allow-code" in in_process("resume", "refused", "--storage", url, code=2)
    study = optbench.open_study("refused", url)
    with pytest.raises(StudyError, match="--allow-code"):
        optbench.run(study.sweep, url, name="refused", progress=False)
    assert optbench.run(study.sweep, url, name="refused", allow_code=True, progress=False).state == "done"


def test_the_json_of_its_best_trial_matches_the_schema(swept):
    schema = json.loads((ROOT / "optbench/exports/schema.json").read_text())
    exported = json.loads(in_process("export", "own", "--storage", "own.db", cwd=swept))
    jsonschema.validate(exported, schema)
    assert exported["model"]["build"].endswith("models.py:dropped")


def test_its_network_is_saved_with_its_accuracy(swept, tmp_path):
    path = tmp_path / "network.keras"
    in_process("export", "own", "--model", path, "--storage", "own.db", cwd=swept)
    saved = keras.models.load_model(path)
    split = load(DataSource("iris", 0.2), 0)
    accuracy = saved.evaluate(split.validation.inputs, split.validation.labels, verbose=0)[1]
    with closing(sqlite3.connect(swept / "own.db")) as database:
        best = database.execute("SELECT MAX(value) FROM trial_values").fetchone()[0]
    assert accuracy == pytest.approx(best, abs=1e-6)


def test_a_network_that_is_refused_leaves_no_database(tmp_path):
    (tmp_path / "models.py").write_text(SOURCE)
    write_toml(tmp_path / "bad.toml", TINY | {"name": "bad", "model": {"build": "models.py:softmax"}})
    refused = in_process("sweep", "bad.toml", "--storage", "bad.db", cwd=tmp_path, code=2)
    assert "models.py:softmax ends with a softmax" in refused
    assert not (tmp_path / "bad.db").exists()


def test_the_manuals_example_runs_as_it_is_written(tmp_path):
    page = (ROOT / "optbench/docs/models.md").read_text()
    outputs = run_page(page, tmp_path, python="models.py", toml="own-network.toml")
    assert len(outputs) == 5
    assert "16/16 trials, done" in outputs[0]
    assert "models.py:network" in outputs[1].replace("\n", "")
    assert "saved in own-network.keras" in outputs[3]
    assert "written to own-network.py" in outputs[4]


def test_the_example_of_a_convolutional_network_is_shipped_and_trains(digits):
    sweep = load_sweep("adam-cnn", {})
    network = keras_model(sweep.model, facts_of_earlier("mnist"))
    assert network.network.output_shape == (None, 10)
    assert network.xla is False
    rows = curve(Lanes(1, "adam", network, 64, digits), job("adam", learning_rate=0.003), 2)
    assert rows[-1].validation_accuracy > 0.5


def test_a_network_that_keras_cannot_save_is_refused_in_one_line(digits, tmp_path):
    network = KerasModel(model("subclassed"), digits.facts)
    hparams = OPTIMIZERS["adam"].defaults
    scale = scaling(Scale.UNIT, digits.train.inputs)
    with pytest.raises(OutputError, match=r"Keras cannot save this network: .*`--format python` writes a script"):
        save(network.initial(0), network, "adam", hparams, scale, tmp_path / "x.keras")


def test_what_a_function_prints_is_not_on_standard_output(digits, capsys):
    KerasModel(model("printing"), digits.facts)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "made a network" in captured.err
