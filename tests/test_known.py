"""Known settings in a search, and [finals] in a sweep file: what they add, and what is refused."""

from dataclasses import replace

import pytest

from optbench.definition import load, parse, shipped
from optbench.definition.known import DEFAULTS, PAPER, known_as, known_trials
from optbench.definition.stored import read_sweep
from optbench.definition.sweep import Finals
from optbench.errors import DefinitionError, StudyError
from optbench.optimizers import OPTIMIZERS
from optbench.scheduler.plan import params_of
from optbench.storage import find_study
from optbench.worker.creation import create_study
from tests.conftest import sweep_of

WIDE = {
    "learning_rate": {"low": 1e-3, "high": 10.0, "log": True},
    "one_minus_rho": {"low": 1e-3, "high": 0.5, "log": True},
    "epsilon": {"low": 1e-10, "high": 1e-1, "log": True},
}
NEW = {"space": WIDE, "known": None, "finals": None}


def labels(sweep):
    return [trial.label for trial in sweep.fixed]


def test_a_search_begins_with_the_defaults_and_the_papers_setting():
    sweep = sweep_of(**NEW)
    assert labels(sweep) == [DEFAULTS, PAPER]
    assert sweep.fixed[1].params == pytest.approx({"learning_rate": 1.0, "one_minus_rho": 0.05, "epsilon": 1e-6})
    assert [OPTIMIZERS["adadelta"].resolve(trial.params)["rho"] for trial in sweep.fixed] == pytest.approx([0.95, 0.95])
    assert params_of(sweep, 2) is None, "then TPE draws"


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"learning_rate": {"low": 0.01, "high": 10.0}, "epsilon": [1e-7, 1e-6]}, [PAPER]),
        ({"learning_rate": 1.0, "epsilon": {"low": 1e-9, "high": 1.0}}, [PAPER]),
        ({"learning_rate": {"low": 1e-4, "high": 10.0}}, [DEFAULTS]),  # the paper's epsilon is another one
        ({"learning_rate": 0.5, "epsilon": {"low": 1e-9, "high": 1.0}}, []),
        ({"learning_rate": {"low": 1e-4, "high": 10.0}, "rho": {"low": 0.1, "high": 0.9}}, []),
    ],
)
def test_a_setting_must_lie_in_the_space_with_all_its_values(space, expected):
    assert labels(sweep_of(**NEW | {"space": space})) == expected


@pytest.mark.parametrize("name", [path.stem for path in shipped().glob("*.toml") if path.stem != "baseline"])
def test_every_shipped_search_knows_its_optimizers_defaults_unless_it_explores(name):
    sweep = load(name, {})
    expected = (
        []
        if name.endswith("-explore")
        else [trial.label for trial in known_trials(sweep.optimizer, sweep.space, sweep.batch)]
    )
    assert labels(sweep) == expected
    assert (sweep.finals is None) == name.endswith("-explore")


def test_a_setting_that_the_file_has_already_is_not_added_again():
    mine = {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6, "label": "mine"}
    assert labels(sweep_of(**NEW, trial=[{"learning_rate": 0.3}, mine])) == [DEFAULTS, None, "mine"]


def test_known_false_leaves_them_out():
    assert sweep_of(**NEW | {"known": False}).fixed == ()


def test_too_few_trials_for_the_known_settings_are_refused():
    with pytest.raises(DefinitionError) as caught:
        sweep_of(**NEW, trials=1)
    assert str(caught.value) == (
        "test.toml: trials = 1; expected 2 or more: there are 2 fixed trials, 2 of them known settings (known = false "
        "leaves these out)"
    )


def test_points_of_a_design_do_not_depend_on_the_known_settings():
    design = NEW | {"sampler": {"name": "qmc"}}
    known, bare = sweep_of(**design), sweep_of(**design | {"known": False})
    assert [params_of(known, slot + 2) for slot in range(4)] == [params_of(bare, slot) for slot in range(4)]


def test_a_definition_keeps_both_and_earlier_ones_have_neither():
    sweep = sweep_of(**NEW | {"finals": {"candidates": 3, "budget": 1.0}}, trials=10)
    plain = sweep.definition()
    assert (plain["known"], plain["finals"]) == (True, {"candidates": 3, "budget": 1.0, "resplit": True})
    assert parse(plain, "x") == read_sweep(plain) == sweep
    without = {key: value for key, value in plain.items() if key not in ("known", "finals", "trial")}
    assert (read_sweep(without).known, read_sweep(without).finals, read_sweep(without).fixed) == (False, None, ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, Finals()), (True, Finals()), (False, None), ({"budget": 0.7}, Finals(None, 0.7))],
)
def test_searches_have_finals_unless_they_say_false(given, expected):
    assert sweep_of(**NEW | {"finals": given}, trials=16).finals == expected


def test_neither_is_part_of_the_fingerprint():
    keys = sweep_of(**NEW).fingerprint({}).keys()
    assert not {key for key in keys if key.startswith(("known", "finals"))}


@pytest.mark.parametrize(
    ("finals", "message"),
    [
        ({"candidates": 1}, "test.toml [finals]: candidates = 1; expected 2 or more"),
        ({"candidates": 65}, "test.toml [finals]: candidates = 65; expected 64 or less, the number of trials"),
        (
            {"budget": 0.05},
            "test.toml [finals]: budget = 0.05 of a search of 64 trials is 3 trainings, but 3 candidates need 5; "
            "expected [finals] budget = 0.08 or more",
        ),
        (
            {"candidates": 20},
            "test.toml [finals]: the default budget of a search of 64 trials is 10 trainings, but 20 candidates need "
            "40; expected [finals] budget = 0.63 or more",
        ),
        ({"budget": 2.0}, "test.toml [finals]: budget = 2.0; expected a fraction from 0 to 1"),
        ({"seeds": 3}, "test.toml [finals]: unknown key 'seeds'; known: budget, candidates, resplit"),
        (3, "test.toml: finals = 3; expected a table of keys, true or false"),
    ],
)
def test_wrong_finals(finals, message):
    with pytest.raises(DefinitionError) as caught:
        sweep_of(**NEW | {"finals": finals}, trials=64)
    assert str(caught.value) == message


@pytest.mark.parametrize("key", ["known", "finals"])
def test_a_list_of_fixed_trials_has_neither(key):
    with pytest.raises(DefinitionError, match=f"'{key}' without a"):
        sweep_of(space=None, trials=None, optimizer=None, trial=[{"optimizer": "adam"}], **{key: False})


@pytest.fixture
def url(new_url):
    return new_url("sqlite")


def test_an_earlier_study_is_continued_without_known_settings_unless_its_file_asks_for_them(storage):
    create_study(storage, sweep_of(**NEW | {"known": False}), "s", {})
    continued = create_study(storage, sweep_of(**NEW, trials=9), "s", {})
    assert (continued.total, continued.sweep.fixed, continued.sweep.known) == (9, (), False)
    with pytest.raises(
        StudyError, match=r"it has 0 fixed trials there, 2 here; .* continue it as it is: `optbench resume s`"
    ):
        create_study(storage, sweep_of(**NEW | {"known": True}), "s", {})


def test_a_study_keeps_the_known_settings_that_it_was_begun_with(storage):
    begun = sweep_of(**NEW)
    create_study(
        storage, replace(begun, fixed=begun.fixed[:1]), "s", {}
    )  # before the optimizer had its paper's setting
    assert labels(create_study(storage, sweep_of(**NEW), "s", {}).sweep) == [DEFAULTS]
    assert labels(find_study(storage, "s").sweep) == [DEFAULTS]


def test_other_fixed_trials_are_still_compared():
    mine, other = ({"learning_rate": rate} for rate in (0.3, 0.4))
    held, wanted = sweep_of(**NEW | {"known": False}, trial=[mine]), sweep_of(**NEW, trial=[other])
    assert known_as(wanted, held) is wanted
    assert known_as(sweep_of(**NEW, trial=[mine]), held).fixed == held.fixed
