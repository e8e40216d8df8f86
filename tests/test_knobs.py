"""The hyperparameters that every optimizer has beside those of its rule, through a whole study and in exports."""

import json
import re

import pytest

from optbench.definition import parse
from optbench.errors import DefinitionError
from optbench.optimizers import OPTIMIZERS
from optbench.optimizers.knobs import KNOBS, knobs_of
from tests.commands import in_process, run_page
from tests.conftest import ROOT, TINY


def test_every_optimizer_has_every_knob_unless_its_rule_has_it():
    assert knobs_of(OPTIMIZERS["adadelta"]) == KNOBS.keys()
    assert knobs_of(OPTIMIZERS["adamw"]) == {"global_clipnorm", "label_smoothing"}
    assert OPTIMIZERS["adamw"].defaults["weight_decay"] == 0.004
    assert all(OPTIMIZERS[name].resolve({}).keys().isdisjoint(knobs_of(OPTIMIZERS[name])) for name in OPTIMIZERS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label_smoothing": 0.7}, "label_smoothing = 0.7; expected 0 to 0.5"),
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
