"""Definitions: shipped sweeps load, and invalid ones are refused in one line with what was given and expected."""

import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from optbench.definition import find, load, parse, shipped
from optbench.definition.parse import check_trials
from optbench.definition.space import Choice, Float
from optbench.definition.stored import read_sweep
from optbench.definition.sweep import Median, SuccessiveHalving
from optbench.errors import DefinitionError
from optbench.optimizers.spelling import on_one_line
from tests.conftest import TINY, sweep_of, write_toml

SHIPPED = sorted(path.stem for path in shipped().glob("*.toml"))


def test_settings_next_to_1_are_told_apart_as_they_were_written():
    """The first case of decay rates: in six digits each of these is 1."""
    listed = [{"optimizer": "rmsprop", "learning_rate": 3e-7, "epsilon": 1e-20, "one_minus_rho": one} for one in
              (1e-7, 4e-8, 3.1e-8)]  # fmt: skip
    labels = [trial.label for trial in sweep_of(space=None, optimizer=None, trials=None, trial=listed).fixed]
    assert [label.split()[2] for label in labels] == [f"one_minus_rho={one}" for one in ("1e-07", "4e-08", "3.1e-08")]
    assert on_one_line("rmsprop", {"rho": 0.99, "epsilon": 1.0}) == "rho=0.99 epsilon=1"
    assert on_one_line("adam", {"beta_1": 1 - 1.4e-6, "beta_2": 0.9999}, 6) == "one_minus_beta_1=1.4e-06 beta_2=0.9999"


def test_the_usual_sweeps_are_shipped():
    assert {"adadelta", "adam", "baseline", "quickstart"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_the_same_after_it_is_written_out_and_read(name):
    sweep = load(name, {})
    assert sweep.name == name
    assert parse(sweep.definition(), name) == read_sweep(sweep.kept()) == sweep


def test_trials_that_differ_only_in_their_seeds_are_written_as_one():
    sweep = load("baseline", {})
    assert [trial["seeds"] for trial in sweep.definition()["trial"]] == [[0, 1, 2, 3, 4]] * 3
    assert len(sweep.fingerprint({})["trial"]) == sweep.trials == 15


@pytest.mark.parametrize("name", ["adadelta", "adam"])
def test_kerass_defaults_lie_in_the_space(name):
    table = tomllib.loads(find(name).read_text())
    sweep = parse(table | {"trial": [{}]}, name)
    assert sweep.fixed[0].params.keys() == sweep.space.keys()


def test_the_adadelta_and_adam_sweeps_differ_only_in_optimizer_and_space():
    adadelta, adam = (load(name, {}).fingerprint({}) for name in ("adadelta", "adam"))
    assert {key.split(".")[0] for key in adadelta.keys() | adam.keys() if adadelta.get(key) != adam.get(key)} == {
        "optimizer",
        "space",
        "trial",  # the known settings of each
    }


def test_a_sweep_has_dimensions_and_defaults():
    sweep = sweep_of()
    assert sweep.space == {"learning_rate": Float(0.01, 10.0, log=True), "epsilon": Choice((1e-7, 1e-6))}
    assert sweep.pruner == SuccessiveHalving(min_resource=1, reduction_factor=2, window=8, audit=0.0)
    assert sweep_of(epochs=50).pruner.min_resource == 3
    median = sweep_of(epochs=50, pruner={"name": "median"}).pruner
    assert median == Median(n_startup_trials=10, n_warmup_steps=10, interval_steps=1, n_min_trials=5, audit=0.0)


def test_a_fixed_trial_is_converted_to_the_names_of_the_space():
    sweep = sweep_of(space={"one_minus_rho": {"low": 0.01, "high": 0.5, "log": True}}, trial=[{"rho": 0.9}])
    assert sweep.fixed[0].params == {"one_minus_rho": pytest.approx(0.1)}


def test_a_fixed_trial_may_lie_on_the_edge_of_the_space():
    space = {"one_minus_rho": {"low": 0.05, "high": 0.5}}
    assert sweep_of(space=space, trial=[{"rho": 0.95}]).fixed[0].params == {"one_minus_rho": 0.05}
    assert sweep_of(space={"one_minus_rho": [0.05, 0.1]}, trial=[{"rho": 0.9}]).fixed[0].params == {
        "one_minus_rho": 0.1
    }


def test_each_seed_makes_a_trial():
    sweep = sweep_of(space=None, trials=None, optimizer=None, trial=[{"optimizer": "adam", "seeds": [3, 4]}])
    assert [trial.seed for trial in sweep.fixed] == [3, 4]
    assert sweep.trials == 2
    assert not sweep.searches


def test_a_definition_is_frozen(tiny):
    with pytest.raises(AttributeError):
        tiny.epochs = 3


RANGE = {"low": 1e-3, "high": 1.0}
INVALID = {
    "unknown key": ({"epoch": 3}, "unknown key 'epoch'; did you mean 'epochs'?"),
    "a schedule outside the space": (
        {"schedule": {"name": "cosine"}},
        "it belongs in [space]: `optbench docs knobs`",
    ),
    "dropout outside the space": ({"dropout": 0.2}, "unknown key 'dropout' here; it belongs in [space]"),
    "unknown data key": ({"data": {"name": "digits", "validation": 9, "split": 1}}, "[data]: unknown key 'split'"),
    "a name and a file": (
        {"data": {"name": "digits", "file": "x.csv", "validation": 9}},
        "[data] has both name and file; expected one of them",
    ),
    "a target of a data set with a name": (
        {"data": {"name": "digits", "target": "y", "validation": 9}},
        "[data]: 'target' is for a file, and this data set has a name; leave it out",
    ),
    "misspelt required key": ({"epochs": None, "epoch": 3}, "unknown key 'epoch'; did you mean 'epochs'?"),
    "a pruner for fixed trials": (
        {"space": None, "trials": None, "trial": [{}], "pruner": {"name": "median"}},
        "'pruner' without a [space]",
    ),
    "missing key": ({"epochs": None}, "'epochs' is missing; expected a whole number"),
    "wrong kind": ({"epochs": "ten"}, "epochs = 'ten'; expected a whole number"),
    "a float for a count": ({"trials": 1.5}, "trials = 1.5; expected a whole number"),
    "true for a count": ({"trials": True}, "trials = True; expected a whole number"),
    "a list for a table": ({"data": []}, "data = []; expected a table of keys"),
    "no epochs": ({"epochs": 0}, "epochs = 0; expected 1 or more"),
    "no trials": ({"trials": 0}, "trials = 0; expected 1 or more"),
    "no lanes": ({"lanes": 0}, "lanes = 0; expected 1 or more"),
    "no batch": ({"batch": -1}, "batch = -1; expected 1 or more"),
    "unknown optimizer": ({"optimizer": "adadelte"}, "unknown optimizer 'adadelte'; did you mean 'adadelta'?"),
    "unknown activation": ({"model": {"activation": "rulu"}}, "did you mean 'relu'?"),
    "hidden": ({"model": {"hidden": [0]}}, "hidden = [0]; expected a list of whole numbers above 0"),
    "low = high": ({"space": {"learning_rate": {"low": 1.0, "high": 1.0}}}, "expected low < high"),
    "low > high": (
        {"space": {"learning_rate": {"low": 2.0, "high": 1.0}}},
        "low = 2.0, high = 1.0; expected low < high",
    ),
    "nan": ({"space": {"learning_rate": {"low": float("nan"), "high": 1.0}}}, "expected low < high"),
    "inf": ({"space": {"learning_rate": {"low": 1.0, "high": float("inf")}}}, "both finite"),
    "400 digits": ({"space": {"learning_rate": 10**400}}, "expected a finite number above 0"),
    "an end of 400 digits": ({"space": {"learning_rate": {"low": 1.0, "high": 10**400}}}, "both finite"),
    "too large for single precision": ({"space": {"learning_rate": 1e300}}, "expected a finite number above 0"),
    "a trial of 400 digits": ({"trial": [{"learning_rate": 10**400}]}, "expected a finite number above 0"),
    "a vast grid": ({"sampler": {"name": "grid", "points": 600_000}}, "the grid has 1,200,000 points"),
    "log from 0": ({"space": {"epsilon": {"low": 0.0, "high": 1.0, "log": True}}}, "log = true from low = 0.0"),
    "not its hyperparameter": ({"space": {"beta_1": RANGE}}, "adadelta has no hyperparameter 'beta_1'"),
    "misspelt": ({"space": {"learning_rte": RANGE}}, "did you mean 'learning_rate'?"),
    "one_minus of no decay": ({"space": {"one_minus_epsilon": RANGE}}, "no hyperparameter 'one_minus_epsilon'"),
    "rho of 1": ({"space": {"rho": {"low": 0.5, "high": 1.0}}}, "rho = 1.0; expected 0 to 1, 1 excluded"),
    "rho of 2": ({"space": {"rho": 2.0}}, "rho = 2.0; expected 0 to 1, 1 excluded"),
    "a rate of true": ({"space": {"learning_rate": True}}, "learning_rate = true; expected a finite number above 0"),
    "an audit of all": ({"pruner": {"name": "median", "audit": 1.5}}, "audit = 1.5; expected a fraction from 0 to 1"),
    "one_minus of 2": ({"space": {"one_minus_rho": {"low": 0.5, "high": 2.0}}}, "expected above 0, at most 1"),
    "a range of a flag": (
        {"optimizer": "sgd", "space": {"nesterov": {"low": 0, "high": 1}}},
        "expected true or false, or a list of them: try nesterov = [false, true]",
    ),
    "twins": ({"space": {"rho": 0.5, "one_minus_rho": 0.5}}, "both 'rho' and 'one_minus_rho'"),
    "text in the space": ({"space": {"rho": "high"}}, "rho = 'high'; expected a number, without quotes"),
    "twice the same choice": ({"space": {"rho": [0.5, 0.5]}}, "a list of different numbers"),
    "a trial outside": (
        {"trial": [{"learning_rate": 50.0}]},
        "learning_rate = 50.0 is outside the [space]: expected 0.01",
    ),
    "a trial misspelt": ({"trial": [{"learning_rat": 0.5}]}, "did you mean 'learning_rate'?"),
    "a trial beside the space": ({"trial": [{"learning_rate": 1.0, "rho": 0.5}]}, "rho is not in the [space]"),
    "a trial with a text": ({"trial": [{"learning_rate": "big"}]}, "learning_rate = 'big'; expected a number"),
    "a trial's optimizer": ({"trial": [{"optimizer": "adam"}]}, "expected 'adadelta', whose [space] this is"),
    "a trial's seeds": ({"trial": [{"learning_rate": 1.0, "seeds": [-1]}]}, "seeds = [-1]; expected"),
    "more fixed than trials": ({"trials": 1, "trial": [{"learning_rate": 1.0}] * 2}, "there are 2 fixed trials"),
    "unknown sampler": ({"sampler": {"name": "tpa"}}, "unknown name 'tpa'"),
    "a sampler's argument": ({"sampler": {"name": "tpe", "startup": 3}}, "unknown key 'startup'"),
    "unknown pruner": ({"pruner": {"name": "medium"}}, "did you mean 'median'?"),
    "a pruner's argument": (
        {"pruner": {"name": "hyperband", "reduction_factor": 1}},
        "reduction_factor = 1; expected 2 or more",
    ),
    "more trials than grid": ({"sampler": {"name": "grid", "points": 2}, "trials": 5}, "the grid has 4 points"),
    "nothing to run": ({"space": None, "trials": None}, "nothing to run"),
    "a search without validation": (
        {"data": {"name": "digits", "validation": 0}},
        "[data] validation must be above 0",
    ),
    "a search with many splits": (
        {"data": {"name": "digits", "validation": 300, "resplit": True}},
        "[data]: resplit = true beside a [space]; expected false",
    ),
    "splits without validation": (
        {"space": None, "trial": [{"optimizer": "adam"}], "data": {"name": "digits", "validation": 0, "resplit": True}},
        "[data]: resplit = true, but validation is 0; expected validation examples",
    ),
    "a rate that rounds to 1": ({"space": {"one_minus_rho": {"low": 1e-12, "high": 0.5}}}, "in single precision"),
    "an epsilon that rounds to 0": ({"space": {"epsilon": 1e-50}}, "expected a finite number above 0"),
    "misspelt table": ({"space": None, "spce": {}}, "unknown key 'spce'; did you mean 'space'?"),
    "misspelt optimizer key": (
        {"optimizer": None, "optimiser": "adam"},
        "unknown key 'optimiser'; did you mean 'optimizer'?",
    ),
    "more resource than epochs": (
        {"pruner": {"name": "hyperband", "min_resource": 9}},
        "= 9; expected 2 or less",
    ),
    "one label for two settings": (
        {
            "space": None,
            "trials": None,
            "optimizer": None,
            "trial": [{"optimizer": "adam", "label": "a"}, {"optimizer": "adadelta", "label": "a"}],
        },
        "label 'a' names two settings",
    ),
    "the same seed twice": ({"trial": [{"learning_rate": 1.0, "seeds": [7, 7]}]}, "expected a list of different whole"),
    "a published percentage": (
        {"space": None, "trials": None, "trial": [{"published_test_accuracy": 86.5}]},
        "published_test_accuracy = 86.5; expected 0 to 1",
    ),
    "published, but validated": (
        {"space": None, "trials": None, "trial": [{"published_test_accuracy": 0.8}]},
        "published_test_accuracy needs test examples",
    ),
    "a huge network": ({"model": {"hidden": [10**9]}}, "expected at most 20,000,000"),
    "too many lanes": ({"lanes": 9999}, "lanes = 9999; expected 256 or less"),
    "no name": ({"name": " "}, "' ' cannot be a study's name"),
    "a name with a dot between slashes": ({"name": "a/./b"}, "'a/./b' cannot be a study's name"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_definition_is_refused_in_one_line(case):
    changes, message = INVALID[case]
    with pytest.raises(DefinitionError) as caught:
        sweep_of(**changes)
    assert message in str(caught.value)
    assert str(caught.value).startswith("test.toml")
    assert "\n" not in str(caught.value)


def test_malformed_toml_names_file_and_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("name = 'x'\nepochs = = 3\n")
    with pytest.raises(DefinitionError, match=r"bad\.toml: not readable as TOML: .*line 2"):
        load(str(path), {})


def test_an_unknown_sweep_is_refused_with_the_nearest_name():
    with pytest.raises(DefinitionError, match="did you mean 'quickstart'"):
        load("quikstart", {})


def test_a_definition_in_the_working_directory_comes_first(tmp_path, monkeypatch):
    (tmp_path / "sweeps").mkdir()
    write_toml(tmp_path / "sweeps" / "quickstart.toml", TINY | {"name": "mine"})
    monkeypatch.chdir(tmp_path)
    assert load("quickstart", {}).name == "mine"


def test_overrides_are_checked():
    assert load("quickstart", {"trials": 3, "epochs": 40}).pruner.min_resource == 2
    with pytest.raises(DefinitionError, match="--trials 0: expected 1 or more"):
        load("quickstart", {"trials": 0})
    with pytest.raises(DefinitionError, match="--trials 1: expected 2 or more: there are 2 fixed trials"):
        load("quickstart", {"trials": 1})
    with pytest.raises(DefinitionError, match="leave --trials out"):
        load("baseline", {"trials": 3})


def test_the_fingerprint_changes_with_every_key_that_changes_a_trial():
    first = sweep_of().fingerprint({"data.sha256": "a"})
    assert sweep_of(trials=9, lanes=2).fingerprint({"data.sha256": "a"}) == first
    for change in ({"epochs": 3}, {"batch": 32}, {"seed": 1}, {"model": {"hidden": [4]}}, {"optimizer": "adam"}):
        assert sweep_of(**change).fingerprint({"data.sha256": "a"}) != first
    assert sweep_of().fingerprint({"data.sha256": "b"}) != first


def test_a_stored_definition_is_read_even_if_todays_checks_would_refuse_it():
    stored = sweep_of().definition()
    stored |= {"optimizer": "long gone", "lanes": 4000, "later": 1, "sampler": {"name": "later", "points": 3}}
    stored |= {"data": {"name": "digits", "validation": 0, "later": True}, "model": {"activation": "mish"}}
    stored["trial"] = [{"optimizer": "long gone", "rho": 7, "seeds": [5, 6]}]
    with pytest.raises(DefinitionError):
        parse(stored, "test.toml")
    sweep = read_sweep(stored)
    assert (sweep.optimizer, sweep.lanes, sweep.data.validation) == ("long gone", 4000, 0)
    assert (sweep.model.hidden, sweep.model.activation) == ((128,), "mish")
    assert [(trial.params, trial.seed) for trial in sweep.fixed] == [({"rho": 7.0}, 5), ({"rho": 7.0}, 6)]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("epochs", -3, "--epochs -3: expected 1 or more"),
        ("lanes", 9999, "--lanes 9999: expected 256 or less"),
        ("seed", -1, "--seed -1: expected 0 or more"),
        ("epochs", 2, "--epochs 2: expected 3 or more, the pruner's min_resource"),
    ],
)
def test_an_error_in_an_override_names_its_flag(tmp_path, flag, value, expected):
    file = write_toml(tmp_path / "x.toml", TINY | {"epochs": 9, "pruner": {"name": "hyperband", "min_resource": 3}})
    with pytest.raises(DefinitionError) as caught:
        load(str(file), {flag: value})
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trial": [3]}, "test.toml [[trial]] 1: expected a table of keys, got 3"),
        ({"trial": {"rho": 0.5}}, "test.toml: trial = {'rho': 0.5}; expected a list of tables: [[trial]]"),
        ({"space": 3}, "test.toml: space = 3; expected a table of keys"),
        ({"sampler": []}, "test.toml: sampler = []; expected a table of keys"),
        ({"space": {"rho": []}}, "test.toml [space]: rho = []; expected a list of different numbers"),
        ({"space": {"rho": {"low": 1, "hihg": 2}}}, "test.toml [space] rho: unknown key 'hihg'; did you mean 'high'?"),
        ({"space": {"rho": {"low": 0.1}}}, "test.toml [space] rho: 'high' is missing; expected a number"),
        ({"space": {"rho": {"low": "0", "high": 0.5}}}, "test.toml [space] rho: low = '0'; expected a number"),
        ({"sampler": {"name": 3}}, "test.toml [sampler]: unknown name '3'; known: grid, qmc, random, tpe"),
        ({"data": {"name": 3, "validation": 0}}, "test.toml [data]: name = 3; expected a text in quotes"),
        (
            {"data": {"name": "digits"}},
            "test.toml [data]: 'validation' is missing; expected a number of examples, or a fraction below 1",
        ),
        ({"data": None}, "test.toml: 'data' is missing; expected a table of keys"),
        ({"trials": None}, "test.toml: 'trials' is missing; expected a whole number"),
        ({"optimizer": ["adam"]}, None),
        ({"sampler": {"multivariate": 1}}, "test.toml [sampler]: multivariate = 1; expected true or false"),
        (
            {"sampler": {"name": "qmc", "qmc_type": "sob"}},
            "test.toml [sampler]: unknown qmc_type 'sob'; did you mean 'sobol'?",
        ),
        (
            {"data": {"name": "digits", "validation": 0}},
            "test.toml: [data] validation must be above 0 when there is a [space], for example 10000",
        ),
    ],
)
def test_messages_word_for_word(changes, expected):
    with pytest.raises(DefinitionError) as caught:
        sweep_of(**changes)
    assert "\n" not in str(caught.value)
    if expected is not None:
        assert str(caught.value) == expected


def test_importing_the_package_does_not_import_pydantic():
    code = (
        "import sys\n"
        "import optbench.definition, optbench.definition.stored, optbench.definition.fingerprint, optbench.cli\n"
        "from optbench.storage import studies\n"
        "print([name for name in sys.modules if name.startswith('pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        (1000, "--trials 1000: expected 4 or less: the grid has 4 points"),
        (0, "--trials 0: expected a whole number from 1 to 1000000"),
        (2_000_000, "--trials 2000000: expected a whole number from 1 to 1000000"),
    ],
)
def test_a_stored_search_may_not_get_more_trials_than_it_can_have(trials, message):
    sweep = sweep_of(sampler={"name": "grid", "points": 2}, trials=4)
    with pytest.raises(DefinitionError, match=f"^{message}$"):
        check_trials(replace(sweep, trials=trials), "x", flags=["trials"])
