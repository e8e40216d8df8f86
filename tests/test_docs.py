"""The manual follows the program: what it says of commands, options, sweep keys, modules and links is true."""

import re
import subprocess
import sys

import pytest

from optbench.cli.docs import topics
from optbench.definition import shipped
from optbench.definition.keys import Keys
from optbench.definition.parse import ACTIVATIONS, ARGUMENTS
from optbench.definition.parse import parse as parse_definition
from optbench.space import OPTIMIZERS
from tests.conftest import ROOT, TINY
from tests.generate_docs import COMMANDS, DOCS, pages

README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted(DOCS.glob("*.md"))}
MANUAL = "\n".join([README, *PAGES.values()])


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_generated_parts_are_current(path):
    current = path.read_text(encoding="utf-8") == pages()[path]
    assert current, f"{path.name} is not current; type `python -m tests.generate_docs` and commit the result"


def test_the_index_lists_every_page():
    assert sorted(topics()) == sorted(set(PAGES) - {"README"})


def optbench(*words):
    return subprocess.run([sys.executable, "-m", "optbench", *words], capture_output=True, text=True)


def test_docs_prints_a_page_as_it_is_in_a_pipe():
    assert optbench("docs", "sweep-files").stdout == PAGES["sweep-files"]
    assert optbench("docs").stdout == PAGES["README"]


def test_docs_names_the_nearest_page():
    done = optbench("docs", "sweep-file")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "optbench: there is no page 'sweep-file' in the manual; did you mean 'sweep-files'?\n"


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
    reference = PAGES["sweep-files"]
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
    assert f"`{name}`" in MANUAL or f'"{name}"' in MANUAL


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
