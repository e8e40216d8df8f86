"""What is shown of a search with finals and of one without: its best, and what a comparison warns of."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from optuna_dashboard import get_note
from rich.console import Console

import optbench
from optbench.cli import tables
from optbench.comparison.collect import collect
from optbench.comparison.confirmation import confirmation
from optbench.comparison.known import with_known
from optbench.comparison.plain import as_plain
from optbench.comparison.remarks import remarks
from optbench.comparison.rows import gains, rows
from optbench.comparison.selection import finalist_json, mean_in_percent
from optbench.exports import chosen
from optbench.optimizers import OPTIMIZERS
from optbench.report.finals_section import finals as finals_section
from optbench.report.page import report
from optbench.scheduler.finals import Finalist
from optbench.service import refresh
from optbench.storage import best_first, best_trials, find_study, open_storage, optuna_study, trials, winner_first
from tests.filled import confirm, peak, race, run, search


def lucky(job):
    """As `peak`, with a scatter by seed that is as large as the differences between good settings."""
    return peak(job) + 0.02 * np.random.default_rng(job.seed).normal()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The file of a database with two searches, of which the first has finals."""
    file = tmp_path_factory.mktemp("selection") / "x.db"
    storage = open_storage(f"sqlite:///{file}", create=True)
    for name in ("adadelta", "adam"):
        run(storage, search(name, trials=32, pruner={"name": "none"}), name, lucky)
    race(storage, "adadelta", lucky)
    storage.close()
    return file


@pytest.fixture
def storage(made, tmp_path):
    """A copy of that database that a test may change."""
    shutil.copyfile(made, tmp_path / "x.db")
    opened = open_storage(f"sqlite:///{tmp_path}/x.db")
    yield opened
    opened.close()


def printed(*parts, width=140):
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get()


def test_the_winner_of_the_finals_is_the_best_everywhere(storage):
    study = find_study(storage, "adadelta")
    records = trials(storage, study.study_id)
    winner, best = study.finals.winner, best_first(study.finals, records)[0]
    assert (winner.trial, study.best) == (best.number, winner.mean)
    mean, seeds = f"{100 * winner.mean:.2f}", len(winner.scores)
    line = tables.best(study, best)
    single = f"{100 * winner.searched:.2f} % in its single run"
    half = f"{100 * winner.interval.margin:.2f}"
    over = f"mean validation accuracy {mean} ± {half} % over {seeds} fresh seeds"
    assert line.startswith(f"best: {over}, {single}, in trial {best.number}: ")
    shown = printed(*tables.show(study, records, 3))
    assert "finals adadelta/finals: done, 8 trials" in shown
    assert re.search(rf"^1 +{best.number} +{mean} ± {half} +{seeds} +{100 * winner.searched:.2f} ", shown, re.MULTILINE)
    listed = printed(tables.studies([(study, None)]))
    assert f"{mean} ± {half} %" in listed
    assert f"{seeds} seeds" in listed
    (choice,) = chosen(storage, study)
    assert choice.trial.number == best.number
    assert choice.why.startswith(f"the best of 4 finalists, {over}, {single}")
    refresh(storage, study)
    note = get_note(optuna_study(str(storage.url), "adadelta"))
    assert f"Best: {over}, {single}, in trial {best.number}, with " in note
    in_notebook = optbench.open_study("adadelta", str(storage.url))._repr_html_()
    assert f"best: {over}, {single}, in trial {best.number} (" in in_notebook
    plain = json.loads(json.dumps(tables.study_json(study)))["finals"]
    assert (plain["done"], plain["finalists"][0]["trial"], len(plain["finalists"])) == (True, best.number, 4)


def test_figures_draw_the_winner_of_the_finals_and_then_the_best_single_runs(storage):
    study = find_study(storage, "adadelta")
    first, *others = winner_first(study.finals, trials(storage, study.study_id))
    assert first.number == study.finals.winner.trial
    assert [one.value for one in others] == sorted((one.value for one in others), reverse=True)
    assert {one.state for one in others} == {"complete"}
    unknown = replace(study.finals, finished=0)
    assert winner_first(unknown, [first, *others]) == best_trials([first, *others])


def test_a_mean_has_its_range_over_two_seeds_and_its_interval_over_more():
    def told(*scores):
        return mean_in_percent(Finalist(trial=0, scores=dict(enumerate(scores)), rounds=1), " %")

    assert [told(0.5), told(0.5, 0.75)] == ["50.00 %", "62.50 % (50.00 to 75.00)"]
    # t(3, 0.975) = 3.1824 times the deviation of 0.1 by the root of 4
    assert told(0.5, 0.5, 0.5 + 0.1 * 3**0.5, 0.5 + 0.1 * 3**0.5) == "58.66 ± 15.91 %"


def test_a_search_without_finals_says_that_its_best_rests_on_one_run(storage):
    study = find_study(storage, "adam")
    records = trials(storage, study.study_id)
    told = "the best rests on one run; `optbench finals adam` chooses it on several seeds"
    assert told in printed(*tables.show(study, records, 3))
    assert "1 run" in printed(tables.studies([(study, None)]))
    assert " % in one run, in trial " in optbench.open_study("adam", str(storage.url))._repr_html_()
    refresh(storage, study)
    assert "It rests on one run." in get_note(optuna_study(str(storage.url), "adam"))


def test_a_confirmation_takes_the_finals_order_and_its_winner_first(storage):
    study = find_study(storage, "adadelta")
    confirm(storage, "adadelta", 0.9, seeds=3)
    (arm,) = collect(storage, ["adadelta"]).arms
    order = [one.trial for one in study.finals.finalists]
    assert [one.trial.number for one in arm.confirmed] == order[: len(arm.confirmed)]
    assert arm.trial.number == study.finals.winner.trial
    assert "confirmed on 3 seeds" in chosen(storage, study)[0].why


def test_a_comparison_says_how_each_arm_was_selected_and_warns_where_they_differ(storage):
    comparison = collect(storage, ["adadelta", "adam"])
    found = rows(comparison)
    winner = comparison.arms[0].source.study.finals.winner
    seeds = len(winner.scores)
    assert [row.arm.selection.in_words for row in found] == [f"finals, {seeds} seeds", "one run"]
    assert found[0].arm.selection.accuracy == winner.mean
    assert found[0].arm.selection.single == winner.searched
    told = "not selected alike: adadelta in finals over several seeds, adam by one run; type `optbench finals adam`"
    assert told in remarks(comparison)
    assert f"finals, {seeds} seeds" in printed(tables.arms(found))
    one, two = as_plain(comparison, found, [], 0.1)["arms"]
    measured = finalist_json(winner)
    assert measured["margin"] == winner.interval.margin
    assert measured["single_run_minus_mean"] == winner.optimism
    assert one["selection"] == {"by": f"finals, {seeds} seeds", "seeds": seeds, "finals": measured}
    assert two["selection"] == {"by": "one run", "seeds": 1, "finals": None}
    half = f"{100 * winner.interval.margin:.2f}"
    assert f"{100 * winner.mean:.2f} ± {half}" in printed(tables.arms(found))
    assert comparison.arms[0].consumed == comparison.arms[0].source.study.epochs + 8 * 6
    race(storage, "adam", lucky)
    alike = collect(storage, ["adadelta", "adam"])
    assert not any("not selected alike" in text for text in remarks(alike))
    many = replace(winner, scores=dict.fromkeys(range(10), winner.mean))
    study = alike.arms[0].source.study
    longer = replace(study, finals=replace(study.finals, finalists=[many, *study.finals.finalists[1:]]))
    first = replace(alike.arms[0], source=replace(alike.arms[0].source, study=longer))
    second = alike.arms[1].selection.seeds
    told = f"finals chose the configurations of adadelta over 10 seeds, adam over {second} seeds"
    assert f"not selected alike: {told}; give the searches equal [finals]" in remarks(
        replace(alike, arms=[first, alike.arms[1]])
    )


def test_the_report_shows_how_the_finals_reshuffled_the_single_runs(storage):
    comparison = collect(storage, ["adadelta", "adam"])
    section = finals_section(comparison.arms)
    (figure,) = (figure.plot for figure in section.figures)
    study = comparison.arms[0].source.study
    by_run = sorted(study.finals.finalists, key=lambda one: (-one.searched, one.trial))
    assert list(figure.layout.yaxis.ticktext) == [f"trial {one.trial}" for one in by_run]
    assert [t.x[0] for t in figure.data if t.marker.symbol == "diamond-open"] == [100 * one.searched for one in by_run]
    assert [row[1] for row in section.tables[0].rows] == [str(one.trial) for one in study.finals.finalists]
    assert f"trial {study.finals.winner.trial} won with a mean of" in section.text[0]
    assert '<section id="finals">' in report(comparison, rows(comparison), [])
    assert finals_section(comparison.arms[1:]) is None


def test_single_runs_stay_what_edges_and_curves_are_drawn_from(storage):
    arm = collect(storage, ["adadelta"]).arms[0]
    assert [trial.number for trial in arm.single_runs] == [trial.number for trial in best_trials(arm.source.trials)]
    assert arm.best[0].number == arm.source.study.finals.winner.trial


def test_a_confirmation_trains_the_known_settings_on_its_first_ten_seeds(storage):
    study = find_study(storage, "adadelta")
    plain = confirmation(study, trials(storage, study.study_id), 1, 12, None)
    sweep = with_known(plain)
    assert sweep.fixed[:12] == plain.fixed
    known = OPTIMIZERS["adadelta"]
    expected = [("Keras' defaults", known.resolve({})), ("the paper's setting", known.resolve(known.paper))]
    assert [(trial.label, trial.params) for trial in sweep.fixed[12::10]] == expected
    assert [trial.seed for trial in sweep.fixed[12:]] == 2 * [trial.seed for trial in plain.fixed[:10]]
    assert (sweep.trials, sweep.finals) == (32, None)


def test_a_known_setting_that_is_the_best_is_not_trained_twice(storage):
    study = find_study(storage, "adadelta")
    best = best_first(study.finals, trials(storage, study.study_id))[0]
    paper = dict(OPTIMIZERS["adadelta"].paper)
    plain = confirmation(study, [replace(best, hyperparameters=paper)], 1, 3, None)
    assert {trial.label for trial in with_known(plain).fixed} == {f"trial {best.number}", "Keras' defaults"}


def test_a_gain_that_is_not_known_is_said_and_a_confirmation_with_the_defaults_tells_it(storage):
    study = find_study(storage, "adam")
    plain = confirmation(study, trials(storage, study.study_id), 1, 6, None)
    told = (
        "adam: its gain over Keras' defaults is not known, because they share fewer than 2 seeds; type "
        "`optbench confirm adam`"
    )
    for sweep, known in ((plain, False), (with_known(plain), True)):
        name = f"adam/confirm-{len(sweep.fixed)}"
        run(storage, sweep, name, lambda job: 0.9 + 1e-6 * (job.seed % 100), "adam", test_set=True)
        comparison = collect(storage, ["adam"])
        assert (told in remarks(comparison)) is not known
        assert [gain.over for gain in gains(rows(comparison))] == ["default"] * known
