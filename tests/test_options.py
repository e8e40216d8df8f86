"""What options mean, and in which order the commands are listed."""

from pathlib import Path

import pytest
import typer

from optbench.cli import _verbose_first, app
from optbench.cli.options import ORDER, trial_number
from optbench.errors import DefinitionError
from optbench.launchers.local import LocalProcess, _problems
from optbench.worker.stop import SIGNALS


def test_a_trial_is_named_by_its_number_or_as_the_best():
    assert (trial_number("s", "7"), trial_number("s", "best")) == (7, None)


@pytest.mark.parametrize("given", ["-1", "1.5", "", "bst", "²", "٣"])
def test_another_word_for_a_trial_is_refused_with_the_command_that_lists_them(given):
    with pytest.raises(DefinitionError) as refused:
        trial_number("my study", given)
    assert str(refused.value) == (
        f"trial {given!r} is not a number; `optbench show 'my study'` lists the trials, and `best` names the best one"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["studies", "--verbose"], ["--verbose", "studies"]),
        (["--verbose", "studies"], ["--verbose", "studies"]),
        (["show", "--", "--verbose"], ["show", "--", "--verbose"]),
        ([], []),
    ],
)
def test_verbose_may_stand_after_the_command(given, expected):
    assert _verbose_first(given) == expected


def test_the_commands_are_listed_by_use_and_none_is_forgotten():
    listed = list(typer.main.get_command(app).list_commands(None))
    assert listed[:6] == ["sweep", "confirm", "compare", "report", "studies", "show"]
    assert [name for name in listed if name not in ORDER] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_worker_that_a_signal_stopped_has_no_problem(number, monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 128 + number)
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), Path(tmp_path) / "worker.log")) == []


def test_the_log_of_a_worker_that_failed_is_no_problem_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 2)
    output = tmp_path / "worker.log"
    output.write_text("2026-01-01 00:00:00,000 DEBUG optbench.worker[7]: StudyOpened\noptbench: no study 'x'\n")
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), output)) == ["optbench: no study 'x'"]
    output.write_text("Traceback\nValueError: odd\n")
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), output)) == [
        "optbench: a worker ended with exit code 2: ValueError: odd"
    ]


def test_a_worker_that_failed_without_a_word_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 1)
    process = LocalProcess("sqlite:///s.db", [], set(), Path(tmp_path) / "worker.log")
    assert _problems(process) == ["optbench: a worker ended with exit code 1"]
