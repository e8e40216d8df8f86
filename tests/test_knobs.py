"""The hyperparameters that every optimizer has beside those of its rule, through a whole study and in exports."""

import json
import math
import re
import subprocess
from contextlib import closing

import keras
import optuna
import pytest

import optbench
from optbench.definition import parse
from optbench.definition.stored import read_sweep
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import KNOBS, knobs_of
from optbench.report.edges import edges
from optbench.report.importance import importances
from optbench.report.study_figures import slices
from optbench.scheduler.states import State
from optbench.storage import best_trials, find_study, open_storage, trials
from optbench.worker.creation import create_study
from tests.commands import COMMAND, in_process, run_page
from tests.conftest import ROOT, TINY, sweep_of, write_toml
from tests.filled import fill


def test_every_optimizer_has_every_knob_unless_its_rule_has_it():
    assert knobs_of(OPTIMIZERS["adadelta"]) == KNOBS.keys()
    assert knobs_of(OPTIMIZERS["adamw"]) == KNOBS.keys() - {"weight_decay"}
    assert OPTIMIZERS["adamw"].defaults["weight_decay"] == 0.004
    assert all(OPTIMIZERS[name].resolve({}).keys().isdisjoint(knobs_of(OPTIMIZERS[name])) for name in OPTIMIZERS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label_smoothing": 0.7}, "label_smoothing = 0.7; expected 0 to 0.5"),
        ({"warmup": 1}, "warmup = 1; expected 0 to 0.9"),
        ({"schedule": "cosin"}, "schedule = 'cosin'; expected one of constant, cosine, linear, exponential"),
        (
            {"schedule": {"name": "cosine"}},
            "a name or a list of names (constant, cosine, linear, exponential): try schedule",
        ),
        ({"schedule": {"low": 0, "high": 1, "log": 3}}, 'exponential): try schedule = "cosine"'),
        ({"schedule": ["cosine", 1]}, "schedule = 1; expected one of constant, cosine, linear, exponential"),
        ({"schedule": {"low": 0, "high": 1}}, 'or a list of them: try schedule = ["constant", "cosine"]'),
        ({"batch": [32, 0]}, "batch = 0; expected a whole number from 1 to 1,000,000"),
        ({"batch": 32.5}, "batch = 32.5; expected a whole number from 1 to 1,000,000"),
        ({"batch": 10**400}, "expected a whole number from 1 to 1,000,000"),
        (
            {"batch": {"low": 16, "high": 64}},
            "or a list of them: try batch = [16, 32]",
        ),
        ({"optimizer": "ftrl", "warmup": 0.1}, "ftrl has no hyperparameter 'warmup'"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast'; expected a number"),
        ({"schedule": ["cosine", "exponential"], "final": [0, 0.1]}, "expected final above 0"),
        ({"schedule": "exponential"}, "an exponential schedule never falls to final = 0, the default"),
        ({"weight_decay": -1}, "weight_decay = -1; expected a finite number of at least 0"),
        ({"global_clipnorm": [0, -2]}, "global_clipnorm = -2; expected a finite number of at least 0"),
        ({"global_clipnrm": 1}, "adadelta has no hyperparameter 'global_clipnrm'; did you mean 'global_clipnorm'"),
    ],
)
def test_a_knob_out_of_its_bounds_is_refused(given, message):
    space = TINY["space"] | given
    optimizer = space.pop("optimizer", "adadelta")
    if optimizer != "adadelta":
        del space["epsilon"]
    with pytest.raises(DefinitionError, match=re.escape(message)):
        parse(TINY | {"optimizer": optimizer, "space": space}, "x")


def test_the_manuals_example_runs_as_it_is_written_and_its_best_trial_is_replayed_and_exported(tmp_path):
    outputs = run_page((ROOT / "optbench/docs/knobs.md").read_text(), tmp_path, toml="knobs.toml")
    assert len(outputs) == 4
    assert "16/16 trials, done" in outputs[0]
    assert "weight_decay" in outputs[1]
    arguments = json.loads(outputs[2])["config"]
    assert arguments["weight_decay"] > 0
    assert "label_smoothing" not in arguments
    assert "weight_decay" in {one["knob"] for one in json.loads(outputs[3])["knobs"]}
    assert "compared exactly" in in_process("replay", "knobs", "best", cwd=tmp_path)
    refused = in_process("export", "knobs", "--format", "torch", cwd=tmp_path, code=2)
    assert "PyTorch has no sgd with decoupled weight decay, and this trial has weight_decay = " in refused


def test_the_loss_of_label_smoothing_is_named_where_keras_optimizers_cannot_hold_it(tmp_path):
    space = {"learning_rate": 0.01, "label_smoothing": 0.1}
    write_toml(tmp_path / "tiny.toml", TINY | {"optimizer": "adam", "space": space, "trials": 1})
    in_process("sweep", "tiny.toml", cwd=tmp_path)
    loss = "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)"
    command = [*COMMAND, "export", "tiny", "--format", "keras"]
    exported = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"which belongs to the loss: {loss}" in exported.stderr
    assert "label_smoothing" not in exported.stdout
    script = in_process("export", "tiny", "--format", "python", cwd=tmp_path)
    assert f"loss = {loss}" in script
    assert "keras.utils.to_categorical(y, 10)" in script


def test_a_schedule_goes_through_a_whole_study_by_its_name(tmp_path):
    space = TINY["space"] | {"schedule": ["constant", "linear"], "warmup": {"low": 0, "high": 0.5}, "final": 0.1}
    fixed = {"learning_rate": 0.5, "epsilon": 1e-6, "schedule": "linear", "warmup": 0.25, "final": 0.1}
    sweep = parse(TINY | {"space": space, "trial": [fixed]}, "x")
    assert sweep.fixed[0].params["schedule"] == 2
    assert sweep.definition()["space"]["schedule"] == ["constant", "linear"]
    assert parse(sweep.definition(), "x") == read_sweep(sweep.definition()) == sweep
    write_toml(tmp_path / "tiny.toml", TINY | {"space": space, "trial": [fixed], "trials": 3})
    assert "schedule=linear" in in_process("sweep", "tiny.toml", cwd=tmp_path)
    shown = in_process("show", "tiny", cwd=tmp_path)
    assert '"constant",\n    "linear",\n' in shown
    assert re.search("final = 0.1", shown)
    assert "compared exactly" in in_process("replay", "tiny", 0, cwd=tmp_path)
    trial = optbench.open_study("tiny", f"sqlite:///{tmp_path}/storage/optbench.db").trials[0]
    assert (trial.settings["schedule"], trial.hyperparameters["schedule"]) == ("linear", 2)
    in_process("export", "tiny", "--trial", 0, "--format", "toml", "-o", "best.toml", cwd=tmp_path)
    assert 'schedule = "linear"' in (tmp_path / "best.toml").read_text()
    again = in_process("sweep", "best.toml", "--study", "again", cwd=tmp_path)
    assert "again: 1/1 trials, done" in again
    exported = json.loads(in_process("export", "tiny", "--trial", 0, "--format", "json", cwd=tmp_path))
    assert exported["hyperparameters"]["schedule"] == "linear"
    refused = in_process("export", "tiny", "--trial", 0, "--format", "keras", cwd=tmp_path, code=2)
    assert (
        "Keras has no linear schedule with a warmup; expected another --format: torch, optax, json or toml" in refused
    )


def test_a_pruned_trial_with_a_schedule_is_replayed_with_the_steps_of_all_its_epochs(tmp_path):
    space = {"learning_rate": {"low": 1e-3, "high": 10.0, "log": True}, "schedule": "cosine"}
    pruner = {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2}
    write_toml(tmp_path / "tiny.toml", TINY | {"space": space, "epochs": 6, "pruner": pruner})
    in_process("sweep", "tiny.toml", cwd=tmp_path)
    trials = optbench.open_study("tiny", f"sqlite:///{tmp_path}/storage/optbench.db").trials
    pruned = next(trial.number for trial in trials if trial.state is State.PRUNED)
    assert "compared exactly" in in_process("replay", "tiny", pruned, cwd=tmp_path)
    content = json.loads(in_process("export", "tiny", "--format", "keras", cwd=tmp_path))
    decay = keras.saving.deserialize_keras_object(content).get_config()["learning_rate"]
    assert (decay["class_name"], decay["config"]["decay_steps"]) == (
        "CosineDecay",
        6 * 19,
    )  # 1200 images, batches of 64
    script = in_process("export", "tiny", "--format", "python", cwd=tmp_path)
    assert "learning_rate=keras.optimizers.schedules.CosineDecay(initial_learning_rate=" in script
    assert "decay_steps=144," in script  # of all 1500 images


def test_batch_sizes_mix_in_one_study(tmp_path):
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch": [16, 64, 128]}
    changed = TINY | {"optimizer": "adam", "space": space, "known": True, "sampler": {"name": "qmc"}}
    sweep = parse(changed, "x")
    assert [trial.params for trial in sweep.fixed] == [{"batch": 64.0, "learning_rate": 0.001}]
    assert "batch" not in sweep.hparams("adam", sweep.fixed[0].params)
    write_toml(tmp_path / "tiny.toml", changed)
    assert "batch=16" in in_process("sweep", "tiny.toml", cwd=tmp_path)
    trials = optbench.open_study("tiny", f"sqlite:///{tmp_path}/storage/optbench.db").trials
    sizes = {trial.number: trial.hyperparameters.get("batch", 64) for trial in trials}
    assert {*sizes.values()} == {16, 64, 128}
    for size in (16, 128):
        number = next(number for number, own in sizes.items() if own == size)
        assert "compared exactly" in in_process("replay", "tiny", number, cwd=tmp_path)
    small = next(number for number, own in sizes.items() if own == 16)
    script = in_process("export", "tiny", "--trial", small, "--format", "python", cwd=tmp_path)
    assert "batch_size=16" in script


def test_a_batch_size_beyond_the_training_examples_is_refused(tmp_path):
    space = {"learning_rate": {"low": 0.1, "high": 2.0}, "batch": [64, 1201]}
    write_toml(tmp_path / "tiny.toml", TINY | {"space": space})
    message = "batch = 1201, but digits leaves 1200 training examples; expected at most that number"
    assert message in in_process("sweep", "tiny.toml", cwd=tmp_path, code=2)
    assert not (tmp_path / "storage").exists()


def test_a_space_with_schedules_has_the_known_settings_whose_learning_rate_is_constant(tmp_path):
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2}, "schedule": ["constant", "exponential"], "final": 0.01}
    sweep = parse(TINY | {"optimizer": "adam", "space": space, "known": True}, "x")
    assert [trial.params for trial in sweep.fixed] == [{"final": 0.01, "learning_rate": 0.001, "schedule": 0.0}]


def test_trials_that_a_search_starts_from_keep_their_batch_sizes(tmp_path):
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch": [16, 64]}
    first = TINY | {"optimizer": "adam", "space": space, "sampler": {"name": "qmc"}, "pruner": {"name": "none"}}
    write_toml(tmp_path / "first.toml", first | {"name": "first", "trials": 4, "epochs": 1})
    second = first | {"name": "second", "batch": 16, "trials": 4, "epochs": 1, "start": {"study": "first", "top": 4}}
    write_toml(tmp_path / "second.toml", second)
    for name in ("first", "second"):
        in_process("sweep", f"{name}.toml", cwd=tmp_path)
    url = f"sqlite:///{tmp_path}/storage/optbench.db"
    settings = [
        sorted(
            (trial.params["learning_rate"], trial.params["batch"]) for trial in optbench.open_study(name, url).trials
        )
        for name in ("first", "second")
    ]
    assert settings[0] == settings[1]
    assert {batch for _, batch in settings[0]} == {16, 64}


def test_another_programs_parameters_are_shown_as_they_are(tmp_path):
    write_toml(tmp_path / "tiny.toml", TINY | {"trials": 1, "epochs": 1})
    in_process("sweep", "tiny.toml", cwd=tmp_path)
    other = optuna.create_study(study_name="other", storage=f"sqlite:///{tmp_path}/storage/optbench.db")

    def objective(trial):
        trial.suggest_categorical("schedule", ["cosine", "step"])
        return trial.suggest_float("batch", 0.25, 0.25)

    other.optimize(objective, n_trials=1)
    shown = in_process("show", "other", cwd=tmp_path)
    assert "0.25" in shown
    assert re.search("cosine|step", shown)


def test_figures_importances_and_warnings_know_the_knobs(tmp_path):
    space = {
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"low": 1e-6, "high": 1e-3, "log": True},
        "warmup": {"low": 0.0, "high": 0.3},
        "schedule": ["constant", "cosine"],
        "batch": [16, 32],
    }
    changes = {"optimizer": "adam", "trials": 40, "space": space, "sampler": {"name": "random"}}
    with closing(open_storage(f"sqlite:///{tmp_path}/x.db", create=True)) as storage:
        sweep = sweep_of(**changes, pruner={"name": "none"}, known=False, finals=False)
        study = create_study(storage, sweep, "knobs", {})
        fill(storage, study, lambda job: 0.9 + 0.01 * math.log10(job.hparams["weight_decay"]))
        study = find_study(storage, "knobs")
        records = trials(storage, study.study_id)
    assert slices(study, records).keys() == space.keys()
    found = importances(records, sweep.space)
    assert set(found.by_method) == {"PED-ANOVA", "fANOVA"}
    assert all(max(each, key=each.get) == "weight_decay" for each in found.by_method.values())
    assert {"batch", "schedule", "warmup"} < found.by_method["fANOVA"].keys()
    (edge,) = [one for one in edges(study, best_trials(records)) if one.name == "weight_decay"]
    assert (edge.end, edge.proposal[1] > 1e-3) == ("high", True)
