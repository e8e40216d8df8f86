"""The hyperparameters that every optimizer has beside those of its rule, through a whole study and in exports."""

import json
import re

import pytest

from optbench.definition import parse
from optbench.definition.stored import read_sweep
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import KNOBS, knobs_of
from tests.commands import in_process, run_page
from tests.conftest import ROOT, TINY, write_toml


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
        ({"schedule": ["cosine", 1]}, "schedule = 1; expected one of constant, cosine, linear, exponential"),
        ({"schedule": {"low": 0, "high": 1}}, 'or a list of them: try schedule = ["constant", "cosine"]'),
        ({"learning_rate": "fast"}, "learning_rate = 'fast'; expected a number"),
        ({"schedule": ["cosine", "exponential"], "final": [0, 0.1]}, "expected final above 0"),
        ({"schedule": "exponential"}, "an exponential schedule never falls to final = 0, the default"),
        ({"weight_decay": -1}, "weight_decay = -1; expected a finite number of at least 0"),
        ({"global_clipnorm": [0, -2]}, "global_clipnorm = -2; expected a finite number of at least 0"),
        ({"global_clipnrm": 1}, "adadelta has no hyperparameter 'global_clipnrm'; did you mean 'global_clipnorm'"),
    ],
)
def test_a_knob_out_of_its_bounds_is_refused(given, message):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        parse(TINY | {"space": TINY["space"] | given}, "x")


def test_the_manuals_example_runs_as_it_is_written_and_its_best_trial_is_replayed_and_exported(tmp_path):
    outputs = run_page((ROOT / "optbench/docs/knobs.md").read_text(), tmp_path, toml="knobs.toml")
    assert len(outputs) == 3
    assert "16/16 trials, done" in outputs[0]
    assert "weight_decay" in outputs[1]
    arguments = json.loads(outputs[2])["config"]
    assert arguments["weight_decay"] > 0
    assert "label_smoothing" not in arguments
    assert "compared exactly" in in_process("replay", "knobs", "best", cwd=tmp_path)
    refused = in_process("export", "knobs", "--format", "torch", cwd=tmp_path, code=2)
    assert "PyTorch has no sgd with weight_decay = " in refused


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
    in_process("export", "tiny", "--trial", 0, "--format", "toml", "-o", "best.toml", cwd=tmp_path)
    assert 'schedule = "linear"' in (tmp_path / "best.toml").read_text()
    again = in_process("sweep", "best.toml", "--study", "again", cwd=tmp_path)
    assert "again: 1/1 trials, done" in again
    exported = json.loads(in_process("export", "tiny", "--trial", 0, "--format", "json", cwd=tmp_path))
    assert exported["hyperparameters"]["schedule"] == "linear"
    refused = in_process("export", "tiny", "--trial", 0, "--format", "keras", cwd=tmp_path, code=2)
    assert "write no schedule of the learning rate" in refused
