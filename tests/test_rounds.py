"""Confirmations that grow: further seeds in the same study, and rounds until a comparison is decided."""

import shutil

import pytest
from typer.testing import CliRunner

import optbench
from optbench.cli import app
from optbench.comparison.collect import collect
from optbench.comparison.conclusions import Statement
from optbench.comparison.confirmation import confirmation, fresh_seeds, in_order, plan
from optbench.comparison.rounds import schedule
from optbench.comparison.rows import gains, rows
from optbench.comparison.verdict import pairs
from optbench.errors import DefinitionError, OptbenchError
from optbench.storage import UntilDecided, count_evaluations, find_study, open_storage, studies, trials
from optbench.storage.doctor import examine
from tests.conftest import ROOT
from tests.fake import Fake, use

SEARCH = {"trials": 3, "epochs": 2, "data": {"name": "digits", "validation": 300}, "model": {"hidden": [4]}}
DRAWN = {
    "sampler": {"name": "random"},
    "pruner": {"name": "none"},
    "space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/x.db"


def searched(url, *optimizers, **changes):
    """A search of each optimizer, under the optimizer's name."""
    for optimizer in optimizers:
        sweep = SEARCH | DRAWN | {"name": optimizer, "optimizer": optimizer} | changes
        optbench.run(sweep, url, progress=False)


def typed(url, *words):
    """The exit code and the output of a command line, run in this process."""
    done = CliRunner().invoke(app, [*words, "--storage", url], env={"COLUMNS": "300"})
    error = str(done.exception) if isinstance(done.exception, OptbenchError) else ""
    return done.exit_code, done.output + error


def read(url, work):
    storage = open_storage(url)
    try:
        return work(storage)
    finally:
        storage.close()


def test_more_seeds_and_more_configurations_are_trained_in_the_same_study(url, monkeypatch):
    fake = use(monkeypatch, Fake({"adam": 0.97}))
    searched(url, "adam")
    for options, new in (
        (("--top", "1", "--seeds", "3"), 3),
        (("--top", "1", "--seeds", "5"), 2),
        (("--top", "3", "--seeds", "5"), 5),
    ):
        before = len(fake.tested["adam"])
        code, output = typed(url, "confirm", "adam", *options)
        assert (code, len(fake.tested["adam"]) - before) == (0, new), output
    assert fake.tested["adam"][:5] == list(fresh_seeds()[:5])
    assert fake.defaults["adam"] == list(fresh_seeds()[:5])
    told = (
        "the best 3 on 5 seeds, and the known settings on 5, as adam/confirm; 10 of these 15 trials are in it already"
    )
    assert f"adam: {told}" in output
    code, output = typed(url, "confirm", "adam", "--seeds", "4")
    assert "study 'adam/confirm' has 15 of 15 trials already; nothing to do" in output
    assert [study.name for study in optbench.studies(url)] == ["adam", "adam/confirm"]
    assert read(url, examine) == []
    assert [len(c.scores) for c in read(url, lambda s: collect(s, ["adam"]).arms[0].confirmed)] == [5, 5, 5]


def test_known_settings_that_searches_share_are_trained_once(url, monkeypatch):
    """A comparison finds them in any study. Once that study is gone, the next confirmation trains them."""
    fake = use(monkeypatch, Fake({"adam": 0.97}))
    for seed, name in enumerate(("one", "two", "three")):
        searched(url, "adam", name=name, seed=seed)
    code, output = typed(url, "confirm", "one", "two", "--seeds", "6")
    assert code == 0, output
    assert "one: the best 1 on 6 seeds, and the known settings on 6, as one/confirm" in output
    assert "two: the best 1 on 6 seeds, as two/confirm" in output
    assert "compare: optbench compare one --storage" in output, "with other seeds they do not compare"
    assert typed(url, "confirm", "three", "--seeds", "7")[0] == 0
    assert fake.defaults["adam"] == list(fresh_seeds()[:7]), "the seventh is new, and three's"
    (gain,) = read(url, lambda storage: gains(rows(collect(storage, ["two"]))))
    assert (gain.over, gain.difference.n) == ("default", 6)
    assert typed(url, "delete", "one/confirm", "--yes")[0] == 0
    assert typed(url, "confirm", "two", "--seeds", "6")[0] == 0
    assert fake.defaults["adam"][7:] == list(fresh_seeds()[:6])


def test_a_confirmation_of_an_earlier_version_is_extended(tmp_path):
    shutil.copyfile(ROOT / "tests/data/schema3/optbench.db", tmp_path / "x.db")
    assert typed(f"sqlite:///{tmp_path}/x.db", "upgrade")[0] == 0

    def work(storage):
        every = studies(storage)
        (held,) = [study for study in every if study.origin == "search"]
        search = find_study(storage, "search")
        top = len({trial.label for trial in held.sweep.fixed})
        return held, plan(confirmation(search, trials(storage, search.study_id), top, 50, None), search, every)

    held, found = read(f"sqlite:///{tmp_path}/x.db", work)
    assert (found.name, found.held) == (held.name, len(held.sweep.fixed))
    assert found.sweep.fixed[: found.held] == held.sweep.fixed


def test_rounds_grow_by_a_quarter_and_end_at_the_most():
    assert list(schedule(10, 40)) == [10, 14, 18, 22, 27, 33, 40]
    assert list(schedule(10, 10)) == [10]
    assert list(schedule(2, 7)) == [2, 6, 7]


def test_seeds_are_bet_on_in_the_order_of_confirmations():
    seeds = fresh_seeds()
    assert in_order({seeds[2], 7, seeds[0], 5}) == [seeds[0], seeds[2], 5, 7]


def test_a_clear_difference_is_decided_in_the_first_round(url, monkeypatch):
    fake = use(monkeypatch, Fake({"adam": 0.98, "sgd": 0.97}))
    searched(url, "adam", "sgd")
    code, output = typed(url, "confirm", "adam", "sgd", "--until-decided")
    assert code == 0, output
    assert {optimizer: len(seeds) for optimizer, seeds in fake.tested.items()} == {"adam": 10, "sgd": 10}
    assert "10 seeds: adam - sgd = +" in output
    assert (
        "percentage points over 10 paired seeds (95 % at every look): adam is better. The tests for a fixed n" in output
    )
    asked = [study.until_decided for study in read(url, studies)]
    assert asked == [None, None, UntilDecided(0.1, 100), UntilDecided(0.1, 100)]
    again = typed(url, "confirm", "adam", "sgd", "--until-decided")[1]
    assert "10 seeds:" not in again
    assert "adam is better" in again
    assert sum(map(len, fake.tested.values())) == 20
    compared = " ".join(typed(url, "compare")[1].split())
    assert "(95 % at every look): adam is better" in compared
    assert "assumes that the differences of the seeds are symmetric" in compared


def test_equality_takes_more_rounds_and_compare_knows_of_the_looks(url, monkeypatch):
    fake = use(monkeypatch, Fake({"adam": 0.98, "sgd": 0.98}, noise=0.0008))
    searched(url, "adam", "sgd")
    optbench.confirm("adam", "sgd", top=1, storage=url, progress=False)
    (fixed,) = read(url, lambda storage: pairs(collect(storage, []).arms, 0.1))
    assert (fixed.statement, fixed.sequence) == (Statement.FIXED_N, None)
    assert "(fixed n)" in fixed.sentence
    assert "at every look" not in typed(url, "compare")[1]
    found = optbench.confirm("adam", "sgd", until_decided=True, storage=url, progress=False)
    assert [study.name for study in found] == ["adam/confirm", "sgd/confirm"]
    assert fake.tested["adam"] == fake.tested["sgd"] == list(fresh_seeds()[: len(fake.tested["adam"])])
    comparison = optbench.compare(storage=url)
    (pair,) = comparison.pairs
    assert (pair.statement, pair.conclusion) == (Statement.EVERY_LOOK, "equal")
    assert pair.difference.n == pair.sequence.n == len(fake.tested["adam"]) > 10
    assert -0.001 < pair.sequence.low < pair.sequence.high < 0.001
    plain = comparison.as_dict()["pairs"][0]
    assert (plain["statement"], plain["sequence"]["alpha"], plain["failed_tests"]) == ("every look", 0.05, [])


def test_what_stays_undecided_ends_at_the_most_and_goes_on_from_there(url, monkeypatch):
    fake = use(monkeypatch, Fake({"adam": 0.975, "sgd": 0.975}, noise=0.01))
    searched(url, "adam", "sgd")
    words = ("confirm", "adam", "sgd", "--until-decided", "--equal", "0.05", "--max-seeds")
    code, output = typed(url, *words, "12")
    assert code == 0
    assert (len(fake.tested["adam"]), len(fake.tested["sgd"])) == (12, 12)
    assert "12 seeds: adam - sgd = " in output
    assert "undecided: neither a difference nor equality within 0.05 percentage points is shown; go on with " in output
    assert "`optbench confirm adam sgd --until-decided --equal 0.05 --storage" in output
    typed(url, *words, "14")
    assert (len(fake.tested["adam"]), len(fake.tested["sgd"])) == (14, 14)
    assert {optimizer: len(seeds) for optimizer, seeds in fake.defaults.items()} == {"adam": 10, "sgd": 10}
    assert count(url) == {"adam/confirm": 24, "sgd/confirm": 24}


def count(url):
    return read(url, lambda storage: dict(count_evaluations(storage)))


def test_ctrl_c_and_the_same_command_carry_on(url, monkeypatch):
    fake = use(monkeypatch, Fake({"adam": 0.98, "sgd": 0.97}, stop_after=13))
    searched(url, "adam", "sgd")
    code, output = typed(url, "confirm", "adam", "sgd", "--until-decided")
    assert code == 130
    assert "stopped; the same command carries on" in output
    assert len(fake.tested["sgd"]) < 10
    assert typed(url, "confirm", "adam", "sgd", "--until-decided")[0] == 0
    assert sorted(fake.tested["sgd"]) == sorted(set(fake.tested["sgd"])) == sorted(fresh_seeds()[:10])
    assert len(fake.tested["adam"]) == 10


def test_several_pairs_are_decided_together(url, monkeypatch):
    use(monkeypatch, Fake({"adam": 0.98, "sgd": 0.97, "lion": 0.96}, noise=0.0005))
    searched(url, "adam", "sgd", "lion")
    code, output = typed(url, "confirm", "adam", "sgd", "lion", "--until-decided")
    assert code == 0
    assert output.count("(95 % at every look for all 3 pairs together)") == 3
    found = read(url, lambda storage: pairs(collect(storage, []).arms, 0.1))
    assert {pair.sequence.alpha for pair in found} == {0.05 / 3}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["adam", "--until-decided"], "--until-decided compares searches; name two or more"),
        (["adam", "adam", "--until-decided"], "--until-decided compares searches; name two or more"),
        (["adam", "other", "--until-decided"], "these searches do not compare: seed is 0 in adam, 7 in other"),
        (["adam", "nobody", "--until-decided"], "no study 'nobody'"),
        (["adam", "other", "--max-seeds", "50"], "--max-seeds 50 is for --until-decided; add it, or leave this out"),
        (["adam", "other", "--equal", "0.2"], "--equal 0.2 is for --until-decided; add it, or leave this out"),
        (["adam", "other", "--until-decided", "--max-seeds", "5"], "--max-seeds 5; expected 10 or more, the seeds of"),
        (["adam", "other", "--until-decided", "--max-seeds", "201"], "--max-seeds 201; expected a whole number from 2"),
        (
            ["adam", "other", "--until-decided", "--equal", "0"],
            "--equal 0; expected percentage points between 0 and 100",
        ),
    ],
)
def test_what_cannot_be_decided_is_refused_in_one_line_before_anything_is_trained(url, monkeypatch, words, expected):
    use(monkeypatch, Fake({"adam": 0.98}))
    searched(url, "adam")
    searched(url, "adam", name="other", seed=7)
    code, output = typed(url, "confirm", *words)
    assert code != 0
    assert expected in output
    assert len(output.strip().splitlines()) == 1
    assert [study.name for study in optbench.studies(url)] == ["adam", "other"]


def test_the_python_api_refuses_the_same(url, monkeypatch):
    use(monkeypatch, Fake({"adam": 0.98}))
    searched(url, "adam")
    with pytest.raises(DefinitionError, match="until_decided compares searches; name two or more"):
        optbench.confirm("adam", storage=url, until_decided=True)
    with pytest.raises(DefinitionError, match="max_seeds = 50 is for until_decided; add it"):
        optbench.confirm("adam", storage=url, max_seeds=50)


def test_a_copy_is_not_compared_with_its_original(url, monkeypatch):
    use(monkeypatch, Fake({"adam": 0.98, "sgd": 0.97}))
    searched(url, "adam", "sgd")
    assert typed(url, "copy", "adam", "--to", url, "--as", "again")[0] == 0
    why = "its trials are those of adam, because it is a copy or the same sweep with the same seed"
    comparison = read(url, lambda storage: collect(storage, []))
    assert [arm.name for arm in comparison.arms] == ["adam", "sgd"]
    assert comparison.left_out == {"again": why}
    for words in (("compare", "adam", "again"), ("confirm", "adam", "again", "--until-decided")):
        code, output = typed(url, *words)
        assert code != 0
        assert f"again cannot be compared: {why}; name different searches" in output
