"""The plan of a sweep: which parameters and which seed each slot gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optbench.definition.space import Choice, Float, point
from optbench.optimizers import OPTIMIZERS
from optbench.scheduler.plan import params_of, seed_of
from tests.conftest import sweep_of

DESIGNS = ["random", "qmc", "grid"]


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_depends_on_the_slot_alone(name):
    sweep, again = (sweep_of(sampler={"name": name}) for _ in range(2))
    points = [params_of(sweep, slot) for slot in range(6)]
    assert points == [params_of(again, slot) for slot in range(6)]
    assert len({tuple(p.items()) for p in points}) == 6
    assert all(p[key] in sweep.space[key] for p in points for key in sweep.space)


@pytest.mark.parametrize("name", ["random", "qmc"])
def test_another_seed_gives_another_design(name):
    assert params_of(sweep_of(sampler={"name": name}), 0) != params_of(sweep_of(sampler={"name": name}, seed=1), 0)


def test_a_grid_holds_every_point_once():
    sweep = sweep_of(sampler={"name": "grid", "points": 3}, trials=6)
    points = {tuple(params_of(sweep, slot).values()) for slot in range(6)}
    rates = sorted({rate for _, rate in points})
    assert rates == pytest.approx([0.01, 10**-0.5, 10.0])
    assert len(points) == 6


def test_quasi_random_points_fill_every_eighth_of_the_range():
    sweep = sweep_of(sampler={"name": "qmc"}, space={"rho": {"low": 0.1, "high": 0.9}})
    eighths = {int((params_of(sweep, slot)["rho"] - 0.1) / 0.1) for slot in range(8)}
    assert eighths == set(range(8))


def test_fixed_trials_come_first_and_tpe_chooses_the_rest():
    sweep = sweep_of(trial=[{"learning_rate": 0.5, "seeds": [9]}])
    assert params_of(sweep, 0) == {"learning_rate": 0.5, "epsilon": 1e-7}
    assert seed_of(sweep, 0) == 9
    assert params_of(sweep, 1) is None


def test_every_slot_has_its_own_seed():
    sweep = sweep_of()
    assert len({seed_of(sweep, slot) for slot in range(100)}) == 100


@given(low=st.floats(1e-9, 1.0), factor=st.floats(1.1, 1e6), unit=st.floats(0, 1), log=st.booleans())
def test_every_point_of_the_unit_cube_lies_in_the_space(low, factor, unit, log):
    space = {"a": Float(low, low * factor, log), "b": Choice((1.0, 2.0, 3.0))}
    assert all(value in space[name] for name, value in point(space, [unit, unit]).items())


def test_one_minus_becomes_the_hyperparameter_itself():
    values = OPTIMIZERS["adam"].resolve({"one_minus_beta_1": 0.25, "learning_rate": 0.1})
    assert values == {"learning_rate": 0.1, "beta_1": 0.75, "beta_2": 0.999, "epsilon": 1e-7}
