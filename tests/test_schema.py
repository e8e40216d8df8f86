"""The JSON Schema of sweep files accepts every shipped sweep, rejects misspelt keys, and is up to date in sweeps/."""

import json
import subprocess
import sys
import tomllib

import jsonschema
import pytest

from optbench.cli.train import complete_sweep
from optbench.definition import shipped
from optbench.definition.schema import schema_text
from tests.conftest import KEPT, TINY
from tests.test_definition import INVALID

SCHEMA = json.loads(schema_text())
FILES = [*sorted(shipped().glob("*.toml")), *sorted(KEPT.glob("*.toml"))]
CHECKER = jsonschema.Draft202012Validator(SCHEMA)
MISSPELT = [case for case, (_, message) in INVALID.items() if "unknown key" in message or "did you mean" in message]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_accepts_every_sweep(path):
    CHECKER.validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize("case", MISSPELT)
def test_it_rejects_misspelt_keys(case):
    changed = {key: value for key, value in (TINY | INVALID[case][0]).items() if value is not None}
    assert not CHECKER.is_valid(changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"lanes": 257},
        {"model": {"hidden": [0]}},
        {"space": {"rho": "high"}},
        {"space": {"beta_1": 0.9}},
        {"pruner": {"name": "median", "audit": 1.5}},
        {"pruner": {"name": "hyperband", "n_warmup_steps": 1}},
        {"trial": [{"seeds": []}]},
    ],
)
def test_it_rejects_values_out_of_bounds(changes):
    assert not CHECKER.is_valid(TINY | changes)


def test_it_is_a_valid_schema_that_describes_every_key():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    undescribed = []

    def search(schema, path):
        for name, part in schema.get("properties", {}).items():
            if "description" not in part:
                undescribed.append((*path, name))
            search(part, (*path, name))

    search(SCHEMA, ())
    for name, part in SCHEMA["$defs"].items():
        search(part, (name,))
    assert undescribed == []
    assert "null" not in schema_text()


def test_the_shipped_schema_file_is_current():
    path = shipped() / "schema.json"
    current = path.read_text(encoding="utf-8") == schema_text()
    assert current, "sweeps/schema.json is not current; type `optbench schema > sweeps/schema.json`"


@pytest.mark.parametrize("path", sorted(shipped().glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_sweep_names_its_schema_in_its_first_line(path):
    assert path.read_text().startswith("#:schema ./schema.json\n")


def test_the_command_prints_the_schema_and_completion_does_not_offer_it_as_a_sweep():
    done = subprocess.run([sys.executable, "-m", "optbench", "schema"], capture_output=True, text=True, check=True)
    assert done.stdout == schema_text()
    assert "schema" not in complete_sweep("")
