"""Confirmations and comparisons: which trials and studies are chosen or refused, verdicts, and remarks."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna_dashboard import get_note

from optbench.comparison.arms import base_name
from optbench.comparison.collect import collect
from optbench.comparison.confirmation import confirmation, plan
from optbench.comparison.plain import as_plain
from optbench.comparison.remarks import remarks
from optbench.comparison.rows import gains, rows, shared_or_all
from optbench.comparison.verdict import pairs
from optbench.errors import StudyError
from optbench.exports import FORMATS, choose, chosen
from optbench.optimizers import OPTIMIZERS
from optbench.report.page import report
from optbench.scheduler.scheduler import Scheduler
from optbench.scheduler.states import Decision, Ending
from optbench.service import refresh
from optbench.storage import (
    Writer,
    best_trials,
    count_evaluations,
    find_study,
    open_storage,
    open_study,
    studies,
    trials,
)
from optbench.training.contract import Epoch
from tests.commands import in_process
from tests.filled import confirm, extend, peak, run, search
from tests.test_study import TRAINER


@pytest.fixture
def url(new_url):
    return new_url("sqlite")


def test_a_confirmation_trains_the_best_trials_on_seeds_that_searches_share(storage):
    for name in ("adadelta", "adam"):
        run(storage, search(name), name, peak)
    sweeps = []
    for name in ("adadelta", "adam"):
        study = find_study(storage, name)
        records = trials(storage, study.study_id)
        sweeps.append(confirmation(study, records, 3, 4, None))
        best = sorted((t for t in records if t.state == "complete"), key=lambda t: (-t.value, t.number))[:3]
        assert [t.params for t in sweeps[-1].fixed[::4]] == [dict(t.hyperparameters) for t in best]
        assert {t.label for t in sweeps[-1].fixed} == {f"trial {t.number}" for t in best}
        assert (sweeps[-1].data.validation, sweeps[-1].epochs, sweeps[-1].searches) == (0, 6, False)
    assert [t.seed for t in sweeps[0].fixed] == [t.seed for t in sweeps[1].fixed]
    searched = {t.seed for t in records}
    assert not searched & {t.seed for t in sweeps[0].fixed}


def test_confirming_again_trains_only_what_is_lacking(storage):
    run(storage, search(), "adadelta", peak)
    for seeds in (3, 3, 4, 2):
        confirm(storage, "adadelta", 0.9, seeds)
    assert [s.name for s in studies(storage)] == ["adadelta", "adadelta/confirm"]
    assert count_evaluations(storage) == {"adadelta/confirm": 8}
    study = find_study(storage, "adadelta")
    sweep = confirmation(study, trials(storage, study.study_id), 3, 4, None)
    found = plan(sweep, study, studies(storage))
    assert (found.name, found.wanted, found.held, len(found.sweep.fixed)) == ("adadelta/confirm", 12, 8, 12)
    extend(storage, sweep, study, lambda job: 0.9)
    assert count_evaluations(storage) == {"adadelta/confirm": 12}
    assert not plan(sweep, study, studies(storage)).lacks_trials
    assert [len(c.scores) for c in collect(storage, ["adadelta"]).arms[0].confirmed] == [4, 4, 4]
    with pytest.raises(StudyError, match="is not a search, so there is nothing to confirm"):
        confirm(storage, "adadelta/confirm", 0.9)


def test_a_verdict_names_the_better_arm_with_its_numbers(comparison_url):
    storage = open_storage(comparison_url)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta", "adam"]
    (pair,) = pairs(comparison.arms, 0.1)
    assert pair.difference.n == 10
    assert pair.difference.low > 0.005
    assert re.fullmatch(
        r"adadelta 98\.\d\d ± 0\.\d\d %, adam 97\.\d\d ± 0\.\d\d %, "
        r"difference \+\d\.\d\d \[\+\d\.\d\d, \+\d\.\d\d\] percentage points over 10 paired seeds \(fixed n\): "
        r"adadelta is better \(p = 0\.002 by sign flips\)",
        pair.sentence,
    )
    one, two = rows(comparison)
    assert (one.default.mean, one.paper.mean, two.default.mean, two.paper) == pytest.approx((0.87, 0.87, 0.98, None))
    assert one.tuned.mean == pytest.approx(0.981, abs=0.002)
    assert one.optimism == pytest.approx(comparison.arms[0].best[0].value - one.tuned.mean)
    plain = json.loads(json.dumps(as_plain(comparison, [one, two], [pair], 0.1)))
    assert plain["test_evaluations"] == {"base": 6, "adadelta/confirm": 20, "adam/confirm": 20}
    assert plain["pairs"][0]["sentence"] == pair.sentence
    storage.close()


@pytest.mark.parametrize(
    ("levels", "noise", "seeds", "text"),
    [
        ((0.98, 0.98), 0.0003, 10, "equal within 0.1 percentage points (p (TOST) = "),
        ((0.9804, 0.98), 0.0001, 10, "), but within the 0.1 percentage points that count as equal (p (TOST) = "),
        ((0.98, 0.98), 0.01, 10, "undecided: the 95 % interval includes 0 and the sign-flip test gives p = "),
        (
            (0.99, 0.98),
            0.0001,
            5,
            "excludes 0, but the sign-flip test gives p = 0.062, the smallest that 5 seeds can ",
        ),
    ],
)
def test_every_verdict_is_explained(storage, levels, noise, seeds, text):
    for name, level in zip(("adadelta", "adam"), levels, strict=True):
        run(storage, search(name, trials=12), name, peak)
        confirm(storage, name, level, seeds, noise)
    (pair,) = pairs(collect(storage, []).arms, 0.1)
    assert text in pair.sentence


def test_seeds_that_diverge_count_with_the_accuracy_of_guessing(storage):
    for name in ("adadelta", "adam"):
        run(storage, search(name, trials=12), name, peak)
    confirm(storage, "adam", 0.97)
    score = lambda job: float("nan") if job.number < 3 else 0.98  # noqa: E731
    study = find_study(storage, "adadelta")
    sweep = confirmation(study, trials(storage, study.study_id), 2, 10, None)
    run(storage, sweep, "adadelta/confirm", score, "adadelta", test_set=True)
    comparison = collect(storage, [])
    first = comparison.arms[0].confirmed[0]
    assert (len(first.scores), first.diverged) == (10, 3)
    assert rows(comparison)[0].tuned.mean == pytest.approx(0.7 * 0.98 + 0.3 * 0.1)
    (pair,) = pairs(comparison.arms, 0.1)
    assert pair.difference.n == 10
    text = "adadelta: 3 of its 10 seeds diverged, and count with the accuracy of guessing, 10 %"
    assert remarks(comparison)[0] == text
    assert "3 of its 10 seeds diverged" in report(comparison, rows(comparison), [pair])


def test_the_confirmation_with_most_seeds_at_the_searchs_epochs_counts(storage):
    run(storage, search(), "adadelta", peak)
    study = find_study(storage, "adadelta")
    for top, seeds, epochs in ((2, 8, None), (5, 6, None), (2, 9, 3)):
        sweep = confirmation(study, trials(storage, study.study_id), top, seeds, epochs)
        extend(storage, sweep, study, lambda job: 0.9)
    first = collect(storage, ["adadelta"]).arms[0].confirmed[0]
    assert (first.study, first.epochs, len(first.scores)) == ("adadelta/confirm", 6, 8)


def test_trials_that_another_program_added_are_ignored(storage):
    run(storage, search(), "adadelta", peak)
    before = find_study(storage, "adadelta")
    optuna.load_study(study_name="adadelta", storage=storage.optuna).add_trials(
        [
            optuna.trial.create_trial(value=0.999),
            optuna.trial.create_trial(
                value=0.9999,
                params={"learning_rate": 1e9},
                distributions={"learning_rate": optuna.distributions.FloatDistribution(1.0, 1e9, log=True)},
            ),
        ]
    )
    after = find_study(storage, "adadelta")
    assert (after.finished, after.best, after.counts) == (before.finished, before.best, before.counts)
    records = trials(storage, after.study_id)
    assert confirmation(after, records, 1, 2, None).fixed[0].label == f"trial {best_trials(records)[0].number}"
    for form in FORMATS.values():
        assert "999" not in form(choose(after, records, None))[:200]
    comparison = collect(storage, [])
    assert "How it was done" in report(comparison, rows(comparison), [])
    refresh(storage, after)


def test_searches_that_do_not_compare_are_refused_or_left_out(storage):
    with pytest.raises(StudyError, match="no search with a complete trial"):
        collect(storage, [])
    run(storage, search(), "adadelta", peak)
    run(storage, search("adam", epochs=7), "adam", peak)
    with pytest.raises(StudyError, match="epochs is 6 in adadelta, 7 in adam; --anyway"):
        collect(storage, ["adadelta", "adam"])
    assert collect(storage, ["adadelta", "adam"], anyway=True).differences[0] == "epochs is 6 in adadelta, 7 in adam"
    run(storage, search("adam-wide", model={"hidden": [9]}), "adam-wide", peak)
    with pytest.raises(StudyError, match="have different data, models or batch sizes; name studies that share them"):
        collect(storage, ["adam", "adam-wide"])
    newest = collect(storage, [])
    assert [arm.name for arm in newest.arms] == ["adam-wide"]
    assert set(newest.left_out) == {"adadelta", "adam"}
    with pytest.raises(StudyError, match="no study 'adem' of optbench; did you mean 'adam'"):
        collect(storage, ["adem"])
    assert remarks(collect(storage, ["adam"]))[0] == "not confirmed: adam; type `optbench confirm adam`"
    run(storage, search("adam-short", trials=12, epochs=7), "adam-short", peak)
    with pytest.raises(StudyError, match="adam has 30 finished trials and adam-short has 12"):
        collect(storage, ["adam", "adam-short"])
    open_study(storage, "empty", "validation accuracy", {
        "definition": search().definition(), "fingerprint": search().fingerprint({}), "trials": 9,
    })  # fmt: skip
    with pytest.raises(StudyError, match="'empty' has no complete trial yet"):
        collect(storage, ["empty"])


def test_a_search_that_does_not_compare_with_the_rest_is_left_out_with_its_reason(storage):
    for name, changes in (("adadelta-long", {"epochs": 8}), ("adadelta", {}), ("adam", {})):
        run(storage, search(name, **changes), name, peak)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta", "adam"]
    assert remarks(comparison)[-1] == "adadelta-long is left out: epochs is 6 in adadelta, 8 in adadelta-long"
    assert len(collect(storage, [], anyway=True).arms) == 3


def test_confirmed_configurations_differ(storage):
    run(storage, search(space={"learning_rate": [0.5, 1.0, 2.0]}), "adadelta", peak)
    study = find_study(storage, "adadelta")
    sweep = confirmation(study, trials(storage, study.study_id), 5, 2, None)
    first, *others = (trial.params["learning_rate"] for trial in sweep.fixed[::2])
    assert (first, sorted(others)) == (1.0, [0.5, 2.0])


def test_anyway_compares_searches_with_different_models(storage):
    run(storage, search(), "adadelta", peak)
    run(storage, search("adam", model={"hidden": [9]}), "adam", peak)
    comparison = collect(storage, ["adadelta", "adam"], anyway=True)
    assert [arm.name for arm in comparison.arms] == ["adadelta", "adam"]
    assert comparison.differences == ["model.hidden is [8] in adadelta, [9] in adam"]


def test_named_arms_need_two_shared_seeds(storage):
    for name in ("adadelta", "adam"):
        run(storage, search(name, trials=12), name, peak)
        confirm(storage, name, 0.9, seeds=1)
    with pytest.raises(StudyError, match="share 1 seeds, too few for a verdict; expected 2 or more"):
        collect(storage, ["adadelta", "adam"])
    assert "no verdict on adadelta and adam" in " ".join(remarks(collect(storage, [])))


def test_unfinished_studies_are_mentioned(storage):
    run(storage, search(), "adadelta", peak)
    confirm(storage, "adadelta", 0.9, seeds=6)
    for name in ("adadelta", "adadelta/confirm"):
        storage.optuna.set_study_user_attr(find_study(storage, name).study_id, "trials", 99)
    found = remarks(collect(storage, ["adadelta"]))
    assert found[0] == "adadelta: 30 of its 99 trials are finished, so its best may change"
    assert found[1] == "adadelta: its confirmation adadelta/confirm is not finished; it has 6 seeds so far"


def test_a_better_trial_than_the_confirmed_one_is_mentioned_and_not_chosen(storage):
    run(storage, search(), "adadelta", peak)
    study = find_study(storage, "adadelta")
    second = replace(best_trials(trials(storage, study.study_id))[1], value=0.0)
    sweep = confirmation(study, [second], 1, 6, None)
    run(storage, sweep, "adadelta/confirm", lambda job: 0.9, "adadelta", test_set=True)
    comparison = collect(storage, ["adadelta"])
    (plain,) = as_plain(comparison, rows(comparison), [], 0.1)["arms"]
    assert (plain["trial"], plain["hyperparameters"]) == (second.number, dict(second.hyperparameters))
    (choice,) = chosen(storage, study)
    best = comparison.arms[0].best[0].number
    told = f"adadelta: its best trial, {best}, is not confirmed, so the verdict rests on trial {second.number}"
    assert any(text.startswith(told) for text in remarks(comparison))
    assert choice.trial.number == second.number
    assert f"trial {best}, which was found later, is better but not confirmed" in choice.why


def test_repeated_searches_are_one_arm(storage):
    for number in (1, 2, 3):
        run(storage, search(f"adadelta/{number}", seed=number, trials=12), f"adadelta/{number}", peak)
    (arm,) = collect(storage, []).arms
    assert (arm.name, len(arm.repeats), arm.trials) == ("adadelta", 3, 36)
    assert arm.best[0].value == max(arm.spread)
    assert collect(storage, ["adadelta"]).arms[0].name == "adadelta"
    first = find_study(storage, "adadelta/1")
    assert base_name(first) == base_name(replace(first, name="renamed", repeat_of="adadelta")) == "adadelta"
    for name in ("adadelta/confirm", "x/1"):
        assert base_name(replace(first, name=name, repeat_of=None)) == name


def test_a_new_study_does_not_inherit_the_confirmation_of_a_deleted_one(storage):
    from optbench.storage.upkeep import delete_study

    run(storage, search(), "adadelta", peak)
    confirm(storage, "adadelta", 0.9)
    delete_study(storage, find_study(storage, "adadelta").study_id, "adadelta")
    run(storage, search(seed=5), "adadelta", peak)
    assert collect(storage, ["adadelta"]).arms[0].confirmed == []


def test_an_unfinished_confirmation_does_not_replace_a_finished_one(storage):
    run(storage, search(), "adadelta", peak)
    confirm(storage, "adadelta", 0.9, seeds=6)
    study = find_study(storage, "adadelta")
    again = confirmation(study, trials(storage, study.study_id), 2, 9, None)
    held = {"definition": again.definition(), "fingerprint": again.fingerprint({}), "trials": again.trials}
    study_id, _ = open_study(storage, "adadelta/confirm-2", "test accuracy", held | {"origin": "adadelta"})
    writer = Writer(storage, study_id, "adadelta/confirm-2")
    scheduler = Scheduler(again, writer)
    job = scheduler.ask("adadelta", TRAINER)
    scheduler.record(
        {job.number: Epoch(1, 0.5, 0.9, None, None, 0.1, 0.1)}, {job.number: Ending(Decision.COMPLETE, 0.5, 6)}
    )
    writer.leave()
    assert {c.study for c in collect(storage, ["adadelta"]).arms[0].confirmed} == {"adadelta/confirm"}


def test_another_number_of_lanes_resumes_the_same_confirmation(storage):
    run(storage, search(), "adadelta", peak)
    confirm(storage, "adadelta", 0.9, 3)
    study = find_study(storage, "adadelta")
    sweep = replace(confirmation(study, trials(storage, study.study_id), 2, 3, None), lanes=7)
    assert plan(sweep, study, studies(storage)).name == "adadelta/confirm"


def test_compare_report_and_export_on_the_command_line(comparison_url, tmp_path):
    def optbench(*arguments, code=0):
        return in_process(*arguments, "--storage", comparison_url, cwd=tmp_path, code=code)

    output = optbench("compare", "--report", "page.html", "--publish")
    assert "adadelta is better" in output
    assert (tmp_path / "page.html").stat().st_size > 1_000_000
    storage = open_storage(comparison_url)
    for name in ("adadelta", "adam"):
        handle = optuna.load_study(study_name=name, storage=storage.optuna)
        attributes = storage.optuna.get_study_system_attrs(handle._study_id)
        plots = {key.split(":")[2] for key in attributes if "plot_data" in key}
        assert {"01-learning-curves", "comparison-1-from-default-to-tuned"} <= plots
        assert "adadelta is better" in get_note(handle)
    storage.close()
    optbench("compare", "adam")
    storage = open_storage(comparison_url)
    assert "adadelta is better" in get_note(optuna.load_study(study_name="adam", storage=storage.optuna))
    storage.close()
    assert json.loads(optbench("compare", "--json"))["pairs"][0]["a"] == "adadelta"
    full = subprocess.run(
        f"{sys.executable} -m optbench export adadelta --storage {comparison_url} > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    assert "the output cannot be written" in full.stderr
    assert "expected percentage points between 0 and 100" in optbench("compare", "--equal", "-1", code=2)
    assert "cannot be written" in optbench("report", "adam", "-o", "none/page.html", code=2)
    assert "no study 'adma' of optbench; did you mean 'adam'" in optbench("report", "adma", "-o", "x.html", code=2)
    exported = json.loads(optbench("export", "adadelta"))
    assert exported["confirmed"]["seeds"] == 10
    assert exported["chosen"] == "the best by validation accuracy of 2 confirmed configurations; confirmed on 10 seeds"


def confirm_with(storage, name, known, level, seeds=10):
    """Confirm the best trial of a search and known settings on shared seeds, each with a given accuracy."""
    study = find_study(storage, name)
    sweep = confirmation(study, trials(storage, study.study_id), 1, seeds, None)
    more = [replace(trial, params=params, source_trial=None) for params, _ in known for trial in sweep.fixed]
    whole = replace(sweep, fixed=(*sweep.fixed, *more), trials=len(sweep.fixed) + len(more))
    levels = {params["learning_rate"]: accuracy for params, accuracy in known}

    def score(job):
        return levels.get(job.hparams["learning_rate"], level) + 0.001 * np.random.default_rng(job.seed).normal()

    run(storage, whole, f"{name}/confirm", score, name, test_set=True)


def test_the_gain_from_tuning_is_tested_on_shared_seeds(storage):
    adadelta = OPTIMIZERS["adadelta"]
    run(storage, search(), "adadelta", peak)
    known = [(adadelta.defaults, 0.87), (dict(adadelta.paper), 0.98)]
    confirm_with(storage, "adadelta", known, 0.98)
    comparison = collect(storage, ["adadelta"])
    default, paper = gains(rows(comparison))
    assert (default.over, default.difference.n, default.difference.mean) == ("default", 10, pytest.approx(0.11))
    assert default.sentence == (
        "adadelta: tuning gained +11.00 [+11.00, +11.00] percentage points over Keras' defaults "
        "(p = 0.0039 by sign flips and corrected for 2 gains, over 10 paired seeds)"
    )
    assert paper.sentence == (
        "adadelta: no gain over the paper's setting is shown: +0.00 [+0.00, +0.00] percentage points "
        "(p = 1 by sign flips and corrected for 2 gains, over 10 paired seeds)"
    )
    plain = as_plain(comparison, rows(comparison), [], 0.1)
    assert [gain["sentence"] for gain in plain["gains"]] == [default.sentence, paper.sentence]


def test_too_few_seeds_to_show_a_gain_are_named(storage):
    run(storage, search(), "adadelta", peak)
    known = [(OPTIMIZERS["adadelta"].defaults, 0.87)]
    confirm_with(storage, "adadelta", known, 0.98, seeds=5)
    (gain,) = gains(rows(collect(storage, ["adadelta"])))
    assert gain.sentence.endswith("(p = 0.062 by sign flips, over 5 paired seeds); 5 seeds cannot show one, 6 can")


def test_a_setting_is_summarized_on_the_tuned_seeds_if_it_has_them():
    tuned, both, other = {1: 0.9, 2: 0.8}, {1: 0.5, 2: 0.7, 3: 0.1}, {3: 0.1}
    assert (shared_or_all(tuned, both), shared_or_all(tuned, other)) == ({1: 0.5, 2: 0.7}, other)
