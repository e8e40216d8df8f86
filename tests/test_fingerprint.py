"""Fingerprints: what they hold, what does not change them, how two of them differ; and the order of a design."""

import pytest

from optbench.definition import fingerprint as module
from optbench.definition import load
from optbench.definition.fingerprint import compact, differences, expand
from optbench.definition.stored import as_begun, read_sweep
from optbench.scheduler.plan import params_of
from optbench.storage import find_study, open_storage, trials
from tests.conftest import sweep_of, train, write_toml

GRID = {
    "name": "grid",
    "optimizer": "sgd",
    "trials": 3,
    "epochs": 1,
    "batch": 100,
    "known": False,
    "finals": False,
    "data": {"name": "digits", "validation": 300},
    "model": {"hidden": [8]},
    "space": {"learning_rate": [0.01, 0.1, 1.0], "momentum": [0.0, 0.9]},
    "sampler": {"name": "grid"},
    "pruner": {"name": "none"},
}
SWAPPED = GRID | {"trials": 6, "space": dict(reversed(GRID["space"].items()))}
SETTINGS = {"space": None, "trials": None, "optimizer": None}


def test_a_fingerprint_keeps_its_version_and_what_differs_from_the_defaults():
    full = sweep_of(sampler={"n_startup_trials": 4}, epochs=7).fingerprint({"data.sha256": "a"})
    held = {key: value for key, value in compact(full).items() if not key.endswith(".major")}
    assert held == {
        "version": 2,
        "data.name": "digits",
        "data.sha256": "a",
        "data.validation": 300,
        "batch": 64,
        "epochs": 7,
        "model.hidden": [8],
        "optimizer": "adadelta",
        "pruner.name": "successive_halving",
        "pruner.reduction_factor": 2,
        "pruner.window": 8,
        "sampler.n_startup_trials": 4,
        "space.epsilon": [1e-07, 1e-06],
        "space.learning_rate.high": 10.0,
        "space.learning_rate.log": True,
        "space.learning_rate.low": 0.01,
    }
    assert list(held)[1:] == sorted(held)[:-1]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pruner": {"name": "median", "n_warmup_steps": 0, "audit": 0.1}, "sampler": {"name": "random"}},
        {"pruner": {"name": "hyperband"}, "sampler": {"name": "qmc", "scramble": False}},
        {"pruner": {"name": "successive_halving", "window": 0}, "sampler": {"name": "grid", "points": 7}},
        {"pruner": {"name": "none"}, "space": {"rho": {"low": 0.1, "high": 0.5}}, "seed": 4},
        SETTINGS | {"trial": [{"optimizer": "nadam", "seeds": [1, 2]}], "batch": 128},
    ],
)
def test_expanding_a_compact_fingerprint_restores_it(changes):
    full = sweep_of(**changes).fingerprint({"data.sha256": "a"})
    whole = expand(full)
    assert expand(compact(full)) == whole
    assert differences(compact(full), full) == []
    assert whole.keys() == full.keys()
    for before, after in zip(full.get("trial", []), whole.get("trial", []), strict=True):
        assert before.items() <= after.items()
        assert {after[name] for name in after.keys() - before.keys()} <= {0.0, "constant"}  # optional hyperparameters
    assert all(whole[key] == full[key] for key in full if key != "trial")


def test_a_new_key_with_its_default_changes_no_older_study(monkeypatch):
    old = sweep_of(pruner={"name": "median"}).fingerprint({})
    stored = [old, compact(old)]  # fingerprints of version 1 have no version number
    later = dict(module.BY_NAME) | {("pruner", "median"): {**module.BY_NAME["pruner", "median"], "patience": 3}}
    monkeypatch.setattr(module, "BY_NAME", later)
    new = old | {"pruner.patience": 3}
    assert compact(new) == stored[1]
    assert [differences(held, new) for held in stored] == [[], []]
    assert differences(stored[1], old | {"pruner.patience": 4}) == ["pruner.patience is 3 there, 4 here"]


def test_a_new_hyperparameter_with_its_default_changes_no_older_list_of_fixed_trials():
    new = sweep_of(**SETTINGS, trial=[{"optimizer": "adam"}]).fingerprint({})
    old = new | {"trial": [{key: value for key, value in new["trial"][0].items() if key != "epsilon"}]}
    assert differences(old, new) == []


def test_a_difference_names_the_trial_and_the_key():
    listed = [{"optimizer": "adadelta", "rho": 0.5 + n / 100, "seeds": [0, 1]} for n in range(10)]
    held = sweep_of(**SETTINGS, trial=listed).fingerprint({})
    changed = [*listed[:3], listed[3] | {"rho": 0.9, "seeds": [0]}, {**listed[3], "seeds": [1]}, *listed[4:]]
    wanted = sweep_of(**SETTINGS, trial=changed).fingerprint({})
    assert len(held["trial"]) == 20
    assert differences(held, wanted) == ["fixed trial 6: rho is 0.53 there, 0.9 here"]
    shorter = sweep_of(**SETTINGS, trial=listed[:9]).fingerprint({})
    assert differences(held, shorter) == ["it has 20 fixed trials there, 18 here"]


@pytest.mark.parametrize("name", ["grid", "random", "qmc"])
def test_the_order_of_the_keys_changes_neither_fingerprint_nor_design(name):
    space = {"rho": [0.1, 0.5, 0.9], "epsilon": [1e-7, 1e-6], "learning_rate": {"low": 0.1, "high": 1.0}}
    one = sweep_of(sampler={"name": name}, space=space)
    two = sweep_of(sampler={"name": name}, space=dict(reversed(space.items())))
    assert one.fingerprint({}) == two.fingerprint({})
    assert [params_of(one, slot) for slot in range(6)] == [params_of(two, slot) for slot in range(6)]


@pytest.mark.parametrize("name", ["grid", "random", "qmc"])
def test_a_study_keeps_the_order_of_keys_that_it_started_with(name):
    stored = sweep_of(sampler={"name": name}).definition()
    stored["space"] = dict(reversed(stored["space"].items()))  # earlier versions kept the order of the file
    started = read_sweep(stored)
    assert list(started.space) == ["learning_rate", "epsilon"]
    resumed = as_begun(sweep_of(sampler={"name": name}), started)
    points = [params_of(started, slot) for slot in range(6)]
    assert points == [params_of(resumed, slot) for slot in range(6)]
    assert points != [params_of(sweep_of(sampler={"name": name}), slot) for slot in range(6)]
    assert list(resumed.definition()["space"]) == ["learning_rate", "epsilon"]


FORMER = {"min_resource": 1, "reduction_factor": 4, "min_early_stopping_rate": 0, "audit": 0.0}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (None, {"name": "median", "n_startup_trials": 10, "n_warmup_steps": 2, "interval_steps": 1, "n_min_trials": 5}),
        ({"name": "successive_halving"}, {"name": "successive_halving", **FORMER}),
        ({"name": "successive_halving", "audit": 0.5}, {"name": "successive_halving", **FORMER, "audit": 0.5}),
    ],
)
def test_a_file_resumes_a_study_that_was_started_with_other_defaults(given, stored):
    sweep = sweep_of(epochs=10, pruner=given)
    started = read_sweep(sweep.definition() | {"pruner": stored})
    assert started.pruner != sweep.pruner
    assert as_begun(sweep, started) == started
    fingerprint = {"pruner.name": "successive_halving"} if given else {}
    held = {key: value for key, value in started.fingerprint({}).items() if not key.startswith("pruner.")} | fingerprint
    held |= {"pruner.audit": 0.5} if given and "audit" in given else {}
    assert differences(held, started.fingerprint({})) == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"name": "successive_halving"}, {"name": "median", "n_warmup_steps": 2}),
        (None, {"name": "median", "n_warmup_steps": 3}),
        ({"name": "successive_halving", "window": 8}, {"name": "successive_halving", **FORMER}),
        (None, {"name": "none"}),
    ],
)
def test_a_study_does_not_override_what_a_file_says(given, stored):
    sweep = sweep_of(epochs=10, pruner=given)
    started = read_sweep(sweep.definition() | {"pruner": stored})
    assert as_begun(sweep, started).pruner == sweep.pruner != started.pruner


def test_a_grid_with_swapped_lines_resumes_and_trains_every_point_once(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    for table in (GRID, SWAPPED):
        train(write_toml(tmp_path / "grid.toml", table), url)
    storage = open_storage(url)
    records = trials(storage, find_study(storage, "grid").study_id)
    storage.close()
    points = [(record.params["learning_rate"], record.params["momentum"]) for record in records]
    assert sorted(points) == [(rate, momentum) for rate in (0.01, 0.1, 1.0) for momentum in (0.0, 0.9)]


def test_the_keys_of_a_sweep_file_may_be_in_any_order(tmp_path):
    sweeps = [load(str(write_toml(tmp_path / "a.toml", table)), {"trials": 3}) for table in (GRID, SWAPPED)]
    assert sweeps[0] == sweeps[1]
    assert compact(sweeps[0].fingerprint({})) == compact(sweeps[1].fingerprint({}))
