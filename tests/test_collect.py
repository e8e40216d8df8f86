"""What a comparison collects, which studies it leaves out and why, how much it reads, and that it writes nothing."""

import json
from dataclasses import replace

import optuna
import pytest
from optuna_dashboard import get_note
from typer.testing import CliRunner

from optbench.cli import app
from optbench.comparison.arms import is_default, is_paper
from optbench.comparison.collect import collect
from optbench.comparison.confirmation import confirmation, notes, plan, source_trial
from optbench.comparison.plain import as_plain
from optbench.comparison.remarks import remarks
from optbench.comparison.rows import rows
from optbench.comparison.verdict import pairs
from optbench.errors import OptbenchError, StudyError
from optbench.optimizers import OPTIMIZERS
from optbench.storage import (
    count_evaluations,
    find_study,
    open_storage,
    open_study,
    rename_study,
    studies,
    trials,
)
from optbench.storage.copy import copy_study
from tests.conftest import statements
from tests.filled import confirm, extend, peak, run, search

SHORT = {"trials": 4, "epochs": 2, "pruner": {"name": "none"}}


def short(name="adadelta", **changes):
    return search(name, **(SHORT | changes))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/x.db"


def run_command(*words):
    """The exit code and the output of a command, run in this process."""
    done = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    error = str(done.exception) if isinstance(done.exception, OptbenchError) else ""
    return done.exit_code, done.output + error


def two_searches(storage, level=0.98, seeds=6, **changes):
    for name in ("adadelta", "adam"):
        run(storage, short(name, **changes), name, peak)
        confirm(storage, name, level if name == "adadelta" else 0.97, seeds)


def test_compare_writes_nothing(storage, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two_searches(storage)
    storage.close()
    before = (tmp_path / "x.db").read_bytes()
    for words in ((), ("--json",), ("--report", "page.html")):
        code, output = run_command("compare", "--storage", url, *words)
        assert code == 0, output
    assert (tmp_path / "x.db").read_bytes() == before
    reader = open_storage(url, read_only=True)
    with statements(reader) as found:
        comparison = collect(reader, [])
        as_plain(comparison, rows(comparison), pairs(comparison.arms, 0.1), 0.1)
    reader.close()
    assert found
    assert {statement.split()[0].upper() for statement in found} <= {"SELECT", "BEGIN", "PRAGMA", "WITH"}


def test_the_number_of_queries_does_not_grow_with_unrelated_studies(storage):
    two_searches(storage)
    wide = search("wide", optimizer="adam", model={"hidden": [9]}, **SHORT)
    counts = []
    for first, last in ((0, 3), (3, 30)):
        for number in range(first, last):
            held = {"definition": wide.definition(), "fingerprint": wide.fingerprint({}), "trials": 4}
            open_study(storage, f"wide-{number}", "validation accuracy", held)
        with statements(storage) as found:
            assert len(collect(storage, [], with_curves=False).arms) == 2
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_curves_are_read_only_for_figures(storage):
    two_searches(storage)
    plain, drawn = collect(storage, [], with_curves=False), collect(storage, [])
    assert [arm.source.curves for arm in plain.arms] == [{}, {}]
    assert [len(arm.source.curves) for arm in drawn.arms] == [4, 4]
    assert [len(arm.confirmed[0].curves) for arm in drawn.arms] == [6, 6]
    first = [as_plain(c, rows(c), pairs(c.arms, 0.1), 0.1) for c in (plain, drawn)]
    assert first[0] == first[1]


def test_a_colleagues_studies_are_left_out_with_their_reasons(storage):
    two_searches(storage)
    run(storage, short("adam", seed=7), "adam-of-a-colleague", peak)
    run(storage, short("adam", trials=3), "adam-short", peak)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta", "adam"]
    assert comparison.left_out == {
        "adam-of-a-colleague": "seed is 0 in adadelta, 7 in adam-of-a-colleague (hence another split, other weights "
        "and batches)",
        "adam-short": "adadelta has 4 finished trials and adam-short has 3",
    }
    assert remarks(comparison)[-1].startswith("adam-short is left out: adadelta has 4 finished trials")
    with pytest.raises(StudyError, match="these searches do not compare: seed is 0 in adam, 7 in adam-of-a-colleague"):
        collect(storage, ["adam", "adam-of-a-colleague"])


def test_the_newest_of_several_groups_of_the_same_size_is_compared(storage):
    run(storage, short("adadelta"), "adadelta", peak)
    run(storage, short("adam", seed=7), "adam", peak)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adam"]
    assert set(comparison.left_out) == {"adadelta"}
    assert "one search has nothing to be compared with" in " ".join(remarks(comparison))


def test_searches_confirmed_for_other_numbers_of_epochs_are_left_out(storage):
    for name, epochs in (("adadelta", None), ("adam", None), ("adam-more", 3)):
        run(storage, short(name), name, peak)
        study = find_study(storage, name)
        sweep = confirmation(study, trials(storage, study.study_id), 1, 2, epochs)
        run(storage, sweep, f"{name}/confirm", lambda job: 0.9, name, test_set=True)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta", "adam"]
    assert comparison.left_out == {"adam-more": "it was confirmed for 3 epochs, the others for 2"}
    assert comparison.differences == []


def copy_from_elsewhere(storage, tmp_path, name="copied"):
    """Copy a study from another database with plain Optuna, which copies only Optuna's tables."""
    other = open_storage(f"sqlite:///{tmp_path}/other.db", create=True)
    run(other, short("adam"), name, peak)
    optuna.copy_study(from_study_name=name, from_storage=other.optuna, to_storage=storage.optuna)
    other.close()


def test_a_study_that_another_program_copied_is_left_out_with_the_reason(storage, tmp_path):
    run(storage, short("adadelta"), "adadelta", peak)
    copy_from_elsewhere(storage, tmp_path)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta"]
    why = "it has no learning curves, because another program copied it or its trials"
    assert remarks(comparison)[-1] == f"copied is left out: {why}"
    with pytest.raises(StudyError, match=f"study 'copied' cannot be compared: {why}"):
        collect(storage, ["copied"])


def test_a_study_that_another_program_copied_cannot_be_compared(storage, tmp_path):
    copy_from_elsewhere(storage, tmp_path)
    with pytest.raises(StudyError, match=r"to compare [(]copied: it has no learning curves"):
        collect(storage, [])


def test_studies_with_the_attributes_of_another_program_are_ignored(storage):
    run(storage, short("adadelta"), "adadelta", peak)
    for name, definition in (("odd", {"space": 3}), ("list", [1]), ("empty", {})):
        study = optuna.create_study(study_name=name, storage=storage.optuna, direction="maximize")
        study.set_user_attr("definition", definition)
        study.set_user_attr("fingerprint", {})
        study.add_trial(optuna.trial.create_trial(value=0.5))
    assert [arm.name for arm in collect(storage, []).arms] == ["adadelta"]


def test_a_confirmation_without_its_search_is_ignored(storage):
    two_searches(storage)
    optuna.delete_study(study_name="adam", storage=storage.optuna)
    comparison = collect(storage, [])
    assert [arm.name for arm in comparison.arms] == ["adadelta"]
    assert rows(comparison)[0].tuned.n == 6
    with pytest.raises(StudyError, match="'adam/confirm' is a list of fixed settings, not a search; compare takes"):
        collect(storage, ["adam/confirm"])


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({"space": {"learning_rate": 1.0}}, peak),
        ({}, lambda job: 1.0),
        ({"trials": 1}, peak),
    ],
    ids=["one fixed parameter", "constant objective", "one trial"],
)
def test_searches_whose_trials_are_all_equal_can_be_compared(storage, changes, score):
    for name in ("adadelta", "adam"):
        space = {} if "space" not in changes else {"space": {"learning_rate": 0.01 if name == "adam" else 1.0}}
        run(storage, short(name, **(changes | space)), name, score)
        study = find_study(storage, name)
        sweep = confirmation(study, trials(storage, study.study_id), 3, 6, None)
        extend(storage, sweep, study, lambda job: 0.9)
    comparison = collect(storage, [])
    (pair,) = pairs(comparison.arms, 0.1)
    assert (pair.conclusion, pair.difference.mean, pair.p) == ("undecided", 0.0, 1.0)
    assert pair.sentence.endswith(
        "difference +0.00 percentage points on each of 6 paired seeds: undecided: all differences are the same, so "
        "nothing is known of their spread; a larger test set may tell the two apart"
    )
    assert (pair.equal.p, pair.seeds_to_decide) == (1.0, None)
    assert json.dumps(as_plain(comparison, rows(comparison), [pair], 0.1))


def test_a_search_whose_trials_all_diverged_is_not_compared(storage):
    run(storage, short("adadelta"), "adadelta", lambda job: float("nan"))
    run(storage, short("adam"), "adam", peak)
    assert [arm.name for arm in collect(storage, []).arms] == ["adam"]
    with pytest.raises(StudyError, match="'adadelta' has no complete trial: all of its 4 trials diverged"):
        collect(storage, ["adadelta", "adam"])


def test_confirmed_settings_are_recognised_as_the_defaults_or_the_papers_by_their_values(storage):
    values = {"learning_rate": [0.001, 1.0], "one_minus_rho": 0.05, "epsilon": [1e-7, 1e-6]}
    grid = {"sampler": {"name": "grid"}, "space": values, "trials": 4}
    run(storage, short("adadelta", **grid), "adadelta", peak)
    study = find_study(storage, "adadelta")
    sweep = confirmation(study, trials(storage, study.study_id), 4, 3, None)
    levels = {(0.001, 1e-7): 0.87, (1.0, 1e-6): 0.97, (1.0, 1e-7): 0.98, (0.001, 1e-6): 0.5}
    score = lambda job: levels[job.hparams["learning_rate"], job.hparams["epsilon"]]  # noqa: E731
    run(storage, sweep, "adadelta/confirm", score, "adadelta", test_set=True)
    (row,) = rows(collect(storage, []))
    assert (row.default.n, row.default.mean) == (3, pytest.approx(0.87))
    assert (row.paper.n, row.paper.mean) == (3, pytest.approx(0.97))


def test_a_setting_that_was_trained_twice_on_a_seed_counts_once(storage):
    space = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    run(storage, short("adam", space=space, trials=2), "adam", peak)
    study = find_study(storage, "adam")
    for seeds in (3, 5):
        sweep = confirmation(study, trials(storage, study.study_id), 1, seeds, None)
        extend(storage, sweep, study, lambda job: 0.98)
    longer = confirmation(study, trials(storage, study.study_id), 1, 9, 3)
    extend(storage, longer, study, lambda job: 0.5)
    assert count_evaluations(storage).total() == 14
    (row,) = rows(collect(storage, []))
    assert (row.default.n, row.default.mean, row.paper) == (5, pytest.approx(0.98), None)


def test_defaults_are_recognised_despite_rounding():
    trial = type("Trial", (), {"optimizer": "adadelta", "hyperparameters": {}})
    for rho in (0.95, 1 - 0.05, 0.95 + 1e-16):
        trial.hyperparameters = {"learning_rate": 0.001, "rho": rho, "epsilon": 1e-7}
        assert is_default(trial)
        assert not is_paper(trial)
    trial.hyperparameters = dict(OPTIMIZERS["adadelta"].paper)
    assert (is_default(trial), is_paper(trial)) == (False, True)
    trial.optimizer = "unknown"
    assert (is_default(trial), is_paper(trial)) == (False, False)


def test_a_verdict_names_the_tests_that_failed_and_how_many_seeds_would_decide(storage):
    for name in ("adadelta", "adam"):
        run(storage, short(name), name, peak)
        confirm(storage, name, 0.99 if name == "adadelta" else 0.97, seeds=5, noise=0.0005)
    comparison = collect(storage, [])
    (pair,) = pairs(comparison.arms, 0.1, " --storage sqlite:///x.db")
    assert pair.difference.low > 0
    assert (pair.p, pair.failed, pair.conclusion) == (0.0625, ("sign flips", "TOST"), "undecided")
    assert pair.seeds_to_decide == 6
    assert (
        "undecided: the 95 % interval excludes 0, but the sign-flip test gives p = 0.062, the smallest that 5 seeds "
        "can reach; equality within 0.1 percentage points is not shown (p (TOST) = 1); a rough guess from 5 pairs is "
        "that 6 seeds would decide; go on with `optbench confirm adadelta adam --until-decided --storage sqlite:///x.db`"
    ) in pair.sentence
    (plain,) = as_plain(comparison, rows(comparison), [pair], 0.1)["pairs"]
    assert {key: plain[key] for key in ("corrected_p", "conclusion", "winner", "failed_tests", "seeds_to_decide")} == {
        "corrected_p": 0.0625,
        "conclusion": "undecided",
        "winner": None,
        "failed_tests": ["sign flips", "TOST"],
        "seeds_to_decide": 6,
    }


def test_a_remark_says_what_the_intervals_leave_out(storage):
    two_searches(storage)
    (text,) = [text for text in remarks(collect(storage, [])) if "intervals" in text]
    assert "not the finite test set (95 % interval 95." in text
    assert "% of 297 test examples), nor the chance in the search itself (Bouthillier et al. 2021" in text


def test_a_remark_names_the_next_command(storage):
    run(storage, short("adadelta"), "adadelta", peak)
    run(storage, short("adam"), "adam", peak)
    first = remarks(collect(storage, []), " --storage x")[0]
    assert first == "not confirmed: adadelta, adam; type `optbench confirm adadelta adam --storage x`"
    for name in ("adadelta", "adam"):
        confirm(storage, name, 0.9, seeds=2)
    assert "for figures and tables type `optbench report adadelta adam --storage x`" in remarks(
        collect(storage, []), " --storage x"
    )


def test_only_a_fair_comparison_is_published(storage, url):
    two_searches(storage)
    run(storage, short("adam", seed=7), "adam-seed-7", peak)
    code, output = run_command("compare", "--storage", url, "--publish")
    assert code == 0, output
    note = get_note(optuna.load_study(study_name="adam", storage=storage.optuna))
    assert "adadelta is better" in note
    code, output = run_command("compare", "adadelta", "adam-seed-7", "--anyway", "--publish", "--storage", url)
    assert code != 0
    assert "--publish shows only fair comparisons, and seed is 0 in adadelta, 7 in adam-seed-7" in output
    assert get_note(optuna.load_study(study_name="adam", storage=storage.optuna)) == note


def test_a_report_must_be_named_html_and_has_a_default_name(storage, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(storage, short("adam"), "adam", peak)
    for words in (("compare", "--report", "x.pdf"), ("report", "-o", "x.pdf")):
        code, output = run_command(*words, "--storage", url)
        assert code != 0
        assert "x.pdf: the report is a web page; expected a name that ends in .html" in output
    assert run_command("report", "--storage", url)[0] == 0
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert not (tmp_path / "x.pdf").exists()


def test_a_confirmation_notes_too_few_configurations_or_seeds(storage):
    run(storage, short("adadelta"), "adadelta", peak)
    study = find_study(storage, "adadelta")
    records = trials(storage, study.study_id)
    sweep = confirmation(study, records, 99, 1, None)
    assert list(notes(plan(sweep, study, studies(storage)), 99, 1)) == [
        "adadelta: it has 4 different configurations, fewer than the 99 asked for; all are confirmed",
        "adadelta: one seed says nothing about spread; a comparison takes at least 2 seeds, better 10",
    ]
    assert list(notes(plan(confirmation(study, records, 3, 10, None), study, studies(storage)), 3, 10)) == []


def test_trials_of_a_confirmation_name_the_trials_that_they_repeat(storage):
    two_searches(storage)
    search_, own = find_study(storage, "adam"), find_study(storage, "adam/confirm")
    best = {t.number: dict(t.hyperparameters) for t in trials(storage, search_.study_id)}
    confirmed = trials(storage, own.study_id)
    assert all(best[source_trial(t)] == dict(t.hyperparameters) for t in confirmed)
    assert {t.source_trial for t in confirmed} <= best.keys()
    old = replace(confirmed[0], source_trial=None)  # schema 3 stored it only in the label
    assert source_trial(old) == confirmed[0].source_trial
    assert source_trial(replace(old, label="AdaDelta, Keras")) is None


def test_a_confirmation_that_an_earlier_version_started_is_resumed(storage):
    run(storage, short("adam"), "adam", peak)
    study = find_study(storage, "adam")
    sweep = confirmation(study, trials(storage, study.study_id), 2, 3, None)
    old = replace(sweep, fixed=tuple(replace(trial, source_trial=None) for trial in sweep.fixed))
    run(storage, old, "adam/confirm", lambda job: 0.9, "adam", test_set=True)
    assert plan(sweep, study, studies(storage)).name == "adam/confirm"
    assert len(collect(storage, ["adam"]).arms[0].confirmed) == 2


def test_a_renamed_search_and_a_copy_keep_their_confirmations(storage):
    run(storage, short("adam"), "adam", peak)
    confirm(storage, "adam", 0.98, seeds=2)
    copy_study(storage, find_study(storage, "adam"), storage, "second")
    rename_study(storage, find_study(storage, "adam").study_id, "first")
    for name, expected in (("first", "adam/confirm"), ("second", "second/confirm")):
        search = find_study(storage, name)
        sweep = confirmation(search, trials(storage, search.study_id), 2, 2, None)
        assert plan(sweep, search, studies(storage)).name == expected
