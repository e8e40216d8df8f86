"""The manual matches the program: its commands, options, sweep keys, modules, tables and links exist."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

import optbench as python_api
from optbench.cli.docs import for_terminal, topics
from optbench.definition import shipped
from optbench.definition.models import KINDS, RangeTable, SweepTable, TrialTable
from optbench.definition.network import ACTIVATIONS
from optbench.definition.parse import parse as parse_definition
from optbench.definition.sweep import PRUNERS, SAMPLERS
from optbench.optimizers import OPTIMIZERS
from optbench.storage.schema import metadata
from tests.conftest import ROOT
from tests.generate_docs import COMMANDS, DOCS, pages
from tests.generate_docs import ROOT as ROOT_COMMAND

README_PATH = ROOT / "README.md"
README = README_PATH.read_text()
PAGES = {path.stem: path.read_text() for path in sorted(DOCS.glob("*.md"))}
TEXTS = {"the README": README, **PAGES}
MANUAL = "\n".join(TEXTS.values())


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_generated_parts_are_current(path):
    current = path.read_text(encoding="utf-8") == pages()[path]
    assert current, f"{path.name} is not current; type `python -m tests.generate_docs` and commit the result"


def test_the_index_lists_every_page():
    assert sorted(topics()) == sorted(set(PAGES) - {"README"})


def optbench(*words):
    return subprocess.run([sys.executable, "-m", "optbench", *words], capture_output=True, text=True)


def test_docs_prints_a_page_unchanged_into_a_pipe():
    assert optbench("docs", "sweep-files").stdout == PAGES["sweep-files"]
    assert optbench("docs").stdout == PAGES["README"]


def test_an_unknown_page_is_refused_with_the_nearest_name():
    done = optbench("docs", "sweep-file")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "optbench: there is no page 'sweep-file' in the manual; did you mean 'sweep-files'?\n"


def test_on_a_terminal_links_become_commands():
    text = (
        "<!-- a\ncomment -->\nSee [the words](studies-and-workers.md#the-words), [exports](exports.md), [it](x.json)."
    )
    assert for_terminal(text) == "See the words (`optbench docs studies-and-workers`), `optbench docs exports`, it."


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    assert f"Example: optbench {name} " in COMMANDS[name].help or name == "studies"


def test_every_sweep_key_is_in_the_reference():
    known = {key for model in (SweepTable, RangeTable, TrialTable, *KINDS.values()) for key in model.model_fields}
    assert {"epochs", "validation", "hidden", "low", "n_min_trials"} <= known
    known |= {"one_minus_"}
    known |= {name for optimizer in OPTIMIZERS.values() for name in optimizer.hyperparameters}
    reference = PAGES["sweep-files"]
    forms = ("`{}", "{} =", "[{}]")
    assert [key for key in sorted(known) if not any(form.format(key) in reference for form in forms)] == []


@pytest.mark.parametrize(
    "name",
    [
        *ACTIVATIONS,
        *OPTIMIZERS,
        *SAMPLERS,
        *PRUNERS,
        *(p.stem for p in shipped().glob("*.toml")),
    ],
)
def test_every_name_that_can_be_typed_is_in_the_manual(name):
    assert f"`{name}`" in MANUAL or f'"{name}"' in MANUAL


def test_every_module_is_in_the_architecture():
    parts = {path.name for path in (ROOT / "optbench").glob("*.py") if path.name != "__main__.py"}
    parts |= {path.parent.name + "/" for path in (ROOT / "optbench").glob("*/*.py")} | {"docs/"}
    assert sorted(re.findall(r"^\| `([\w/.]+)` \|", PAGES["architecture"], re.MULTILINE)) == sorted(parts)


def test_every_table_of_the_database_is_in_the_architecture():
    own = {name for name in metadata.tables if name.startswith("optbench_")}
    assert set(re.findall(r"`(optbench_\w+)`", PAGES["architecture"])) == own
    assert set(re.findall(r"`(optbench_\w+)`", MANUAL)) == own


def test_every_statistic_has_a_section():
    public = {
        node.name
        for path in [*(ROOT / "optbench/statistics").glob("*.py"), ROOT / "optbench/report/importance.py"]
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert "mean_interval" in public
    assert sorted(re.findall(r"^### (\w+)$", PAGES["statistics"], re.MULTILINE)) == sorted(public)


def blocks(language):
    """Every code block of a language, labelled with its page."""
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name, text in TEXTS.items()
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    ]


@pytest.mark.parametrize("block", blocks("sh"))
def test_command_lines_parse(block):
    for line in block.splitlines():
        for part in line.split("&&"):
            words = shlex.split(part.partition(" > ")[0], comments=True)
            while words and re.match(r"\w+=", words[0]):  # an environment variable
                words = words[1:]
            if words and words[0].removeprefix(".venv/bin/") == "optbench":
                parse_command(words[1:])


def parse_command(words):
    """Parse a command line as typer does, without running it."""
    command, name = ROOT_COMMAND, "optbench"
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, name, *words = command.commands[words[0]], *words
    assert not words or not hasattr(command, "commands"), f"optbench has no command {words[0]!r}"
    command.make_context(name, list(words))


def test_commands_and_options_in_the_text_exist():
    options = {option for command in COMMANDS.values() for param in command.params for option in param.opts}
    options |= {option for param in ROOT_COMMAND.params for option in param.opts} | {"--help"}
    for page, text in TEXTS.items():
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)):
            if found := re.match(r"optbench (data |token )?([a-z][a-z-]*)", code):
                assert "".join(filter(None, found.groups())) in COMMANDS, f"{page}: {code}"
            if code.startswith(("optbench", "-")):
                assert set(re.findall(r"(?<!\S)--[a-z-]+", code)) <= options, f"{page}: {code}"


@pytest.mark.parametrize("block", blocks("toml"))
def test_sweep_files_in_the_text_parse(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.py").write_text(
        re.findall(r"^```python\n(.*?)^```", PAGES["models"], re.DOTALL | re.MULTILINE)[0]
    )
    parse_definition(tomllib.loads(block), "the manual")


@pytest.mark.parametrize("block", blocks("python"))
def test_python_in_the_text_is_right(block):
    """Calls of the Python API are checked against its signatures. Blocks without such calls run."""
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func): [word.arg for word in call.keywords if word.arg] for call in calls}
    api = {found[1]: words for name, words in names.items() if (found := re.fullmatch(r"optbench\.(\w+)", name))}
    for name, words in api.items():
        assert name in python_api.__all__
        known = inspect.signature(getattr(python_api, name)).parameters
        assert set(words) <= set(known) or any(part.kind is part.VAR_KEYWORD for part in known.values())
    if not api:
        exec(block, {})


def test_every_name_of_the_python_api_is_on_its_page():
    page = PAGES["python-api"]
    public = {name for name in python_api.__all__ if not name.startswith("_")}
    assert [name for name in sorted(public) if f"`{name}(" not in page and f"## {name}" not in page] == []
    for kind in (python_api.Study, python_api.Comparison):
        own = [name for name in vars(kind) if not name.startswith("_")] + list(kind.__dataclass_fields__)
        assert [name for name in own if f"`{name}`" not in page and f"`{name}(" not in page] == []


@pytest.mark.parametrize("name", TEXTS)
def test_links_resolve(name):
    page = README_PATH if name == "the README" else DOCS / f"{name}.md"
    for target, _, anchor in re.findall(r"\]\((?!http)([^)#]*)(#([^)]*))?\)", TEXTS[name]):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), f"{target}#{anchor}"


def anchors(text):
    """The anchors that a web page gives to the headings of a text."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_python_commands_exist(name):
    for module, options in re.findall(r"python -m ([\w.]+)((?: --?[\w-]+(?: [\w./]+)?)*)", TEXTS[name]):
        path = ROOT / (module.replace(".", "/") + ".py")
        assert path.exists(), module
        for option in re.findall(r"--[\w-]+", options):
            assert option in path.read_text(), f"{module} {option}"


OLD = [
    "strands?",
    "ledger",
    "exams?",
    "buried",
    "bury",
    "dress",
    "dresses",
    "seats?",
    "seated",
    "news",
    "grace",
    "silence",
    "gone",
    "hyper",
]
CODES = [r"\+-", r"[SP]\d{1,2}"]  # write ± instead, and the name of the paper


@pytest.mark.parametrize("name", TEXTS)
def test_the_manual_uses_the_words_of_the_glossary(name):
    assert re.findall(rf"(?<![\w&-])(?:{'|'.join(OLD + CODES)})(?![\w-])", TEXTS[name]) == []


def test_the_readme_is_short():
    assert len(README.split()) <= 600


def test_the_repository_has_only_the_known_top_level_entries():
    expected = {"pyproject.toml", "README.md", "sweeps", "optbench", "storage", "tests", "LICENSE", "CHANGELOG.md"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout, so the project's files are unknown")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} == expected
