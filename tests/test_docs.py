"""The README cannot drift: every command, option, sweep key, module and definition is in it, and its links resolve."""

import re
import subprocess

import pytest
import typer

from optbench.cli import app
from optbench.definition import shipped
from optbench.definition.keys import Keys
from optbench.definition.parse import ACTIVATIONS
from optbench.definition.parse import parse as parse_definition
from optbench.space import OPTIMIZERS
from optbench.sweep import ARGUMENTS
from tests.conftest import ROOT, TINY

README = (ROOT / "README.md").read_text()


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name):
    line = next((line for line in README.splitlines() if line.startswith(f"| `optbench {name} ")), "")
    assert line, f"no row for `optbench {name}`"
    for param in COMMANDS[name].params:
        for option in param.opts:
            assert option == "--help" or not option.startswith("--") or f"{option}" in line, option


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    assert f"Example: optbench {name} " in COMMANDS[name].help or name == "studies"


def test_every_sweep_key_is_in_the_reference(monkeypatch):
    known = set()
    only = Keys.only
    monkeypatch.setattr(Keys, "only", lambda keys, *names: (known.update(names), only(keys, *names))[1])
    parse_definition(TINY | {"trial": [{"learning_rate": 1.0}], "trials": 7}, "x")
    assert {"epochs", "validation", "hidden", "low", "n_min_trials"} <= known
    known |= {key for role in ARGUMENTS.values() for arguments in role.values() for key in arguments}
    known |= {"seeds", "label", "published_test_accuracy", "one_minus_"}
    known |= {name for known_ in OPTIMIZERS.values() for name in known_}
    reference = README[README.index("## Sweep files") :]
    forms = ("`{}", "{} =", "[{}]")
    assert [key for key in sorted(known) if not any(form.format(key) in reference for form in forms)] == []


@pytest.mark.parametrize(
    "name",
    [
        *ACTIVATIONS,
        *OPTIMIZERS,
        *ARGUMENTS["sampler"],
        *ARGUMENTS["pruner"],
        *(p.stem for p in shipped().glob("*.toml")),
    ],
)
def test_every_name_that_can_be_typed_is_mentioned(name):
    assert f"`{name}`" in README or f'"{name}"' in README


def test_every_module_is_in_the_table():
    parts = {path.stem + ".py" for path in (ROOT / "optbench").glob("*.py") if not path.stem.startswith("_")}
    parts |= {path.parent.name + "/" for path in (ROOT / "optbench").glob("*/__init__.py")}
    assert [part for part in sorted(parts) if f"| `{part}` |" not in README] == []


def test_relative_links_resolve():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_other_top_level_entry():
    expected = {"pyproject.toml", "README.md", "sweeps", "optbench", "storage", "tests", "LICENSE", "CHANGELOG.md"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} == expected
