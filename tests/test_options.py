"""Options and arguments of commands, the order of commands in --help, and messages of worker processes."""

from pathlib import Path

import pytest
import typer

from optbench.cli import _verbose_first, app
from optbench.cli.options import ORDER, trial_number
from optbench.errors import DefinitionError
from optbench.launchers.local import LocalProcess, _problems
from optbench.worker.stop import SIGNALS


def test_a_trial_is_chosen_by_its_number_or_as_the_best():
    assert (trial_number("s", "7"), trial_number("s", "best")) == (7, None)


@pytest.mark.parametrize("given", ["-1", "1.5", "", "bst", "²", "٣"])
def test_anything_else_is_refused_with_the_command_that_lists_the_trials(given):
    with pytest.raises(DefinitionError) as caught:
        trial_number("my study", given)
    assert str(caught.value) == (
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
def test_verbose_may_follow_the_command(given, expected):
    assert _verbose_first(given) == expected


def test_help_lists_every_command_and_the_usual_ones_first():
    listed = list(typer.main.get_command(app).list_commands(None))
    assert listed[:6] == ["sweep", "confirm", "compare", "report", "studies", "show"]
    assert [name for name in listed if name not in ORDER] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_worker_that_a_signal_stopped_reports_no_problem(number, monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 128 + number)
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), Path(tmp_path) / "worker.log")) == []


def test_log_lines_of_a_failed_worker_are_not_reported_as_problems(monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 2)
    output = tmp_path / "worker.log"
    output.write_text("2026-01-01 00:00:00,000 DEBUG optbench.worker[7]: StudyOpened\noptbench: no study 'x'\n")
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), output)) == ["optbench: no study 'x'"]
    output.write_text("Traceback\nValueError: odd\n")
    assert _problems(LocalProcess("sqlite:///s.db", [], set(), output)) == [
        "optbench: a worker ended with exit code 2: ValueError: odd"
    ]


def test_a_worker_that_failed_without_output_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(LocalProcess, "wait", lambda process: 1)
    process = LocalProcess("sqlite:///s.db", [], set(), Path(tmp_path) / "worker.log")
    assert _problems(process) == ["optbench: a worker ended with exit code 1"]
