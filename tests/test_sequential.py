"""The confidence sequence: exact properties, and its simulated coverage when it is looked at after every seed."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optbench.statistics.sequential import EFFECTS, confidence_sequence, wealth

SIGNS = np.array(list(product((-1, 1), repeat=12)))
draws = st.lists(st.integers(-40, 40).map(lambda images: images / 10_000), min_size=2, max_size=30)
slow = settings(deadline=None, max_examples=30)  # the machine may be busy


def test_wealth_by_hand():
    bets = np.tanh(EFFECTS)
    assert wealth([1.0, 1.0]) == pytest.approx([1.0, 1 + (bets**2).mean()])
    assert wealth([1.0, -1.0]) == pytest.approx([1.0, 1 - (bets**2).mean()])
    assert wealth([0.0, 0.0, 0.0]) == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize("sizes", [np.ones(12), np.arange(1, 13), 2.0 ** np.arange(12)[::-1]])
def test_no_stopping_rule_gains_wealth_from_fair_signs(sizes):
    """All sign patterns are equally likely if the differences are symmetric: the mean wealth stays 1."""
    found = wealth(SIGNS * sizes)
    assert found.mean(0) == pytest.approx(np.ones(12))
    assert (found.max(1) >= 20).mean() <= 0.05


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance, shape: chance.normal(0, 0.001, shape),
        lambda chance, shape: chance.standard_t(3, shape) * 0.001,
        lambda chance, shape: chance.uniform(-0.002, 0.002, shape),
        lambda chance, shape: np.subtract(*chance.binomial(10_000, 0.98, (2, *shape))) / 10_000,
        lambda chance, shape: np.where(chance.random(shape) < 0.1, 0.9, 0.001) * chance.choice([-1, 1], shape),
    ],
    ids=["normal", "heavy tails", "uniform", "images", "symmetric divergence"],
)
def test_the_sequence_covers_the_mean_at_every_look_at_once(draw):
    found = wealth(draw(np.random.default_rng(0), (4000, 100)))
    assert (found < 20).all(1).mean() > 0.945


def test_the_interval_ends_where_the_wealth_reaches_the_limit():
    x = np.random.default_rng(0).normal(0.001, 0.001, 20)
    found = confidence_sequence(x)
    assert (found.n, found.mean, found.alpha) == (20, pytest.approx(x.mean()), 0.05)
    for end, step in ((found.low, -1e-6), (found.high, 1e-6)):
        assert wealth(x - end - step)[-1] > 20 > wealth(x - end + step)[-1]
    assert wealth(x - np.linspace(found.low, found.high, 99)[1:-1, None])[:, -1].max() < 20


def test_seven_seeds_that_agree_decide_and_six_cannot():
    x = np.random.default_rng(0).normal(0.003, 0.0005, 7)
    assert (confidence_sequence(x[:6]).low, confidence_sequence(x[:6]).high) == (-1, 1)
    assert 0 < confidence_sequence(x).low < x.mean() < confidence_sequence(x).high < 0.01


def test_a_smaller_alpha_gives_a_wider_interval():
    x = np.random.default_rng(0).normal(0.001, 0.001, 20)
    narrow, wide = confidence_sequence(x), confidence_sequence(x, 0.05 / 3)
    assert wide.low < narrow.low < narrow.high < wide.high


@given(draws, st.integers(-100, 100).map(lambda images: images / 10_000))
@slow
def test_the_interval_holds_the_mean_and_shifts_with_the_differences(x, shift):
    found, moved = confidence_sequence(x), confidence_sequence(np.add(x, shift))
    assert -1 <= found.low <= found.mean <= found.high <= 1
    for one, other in ((found.low, moved.low), (found.high, moved.high)):
        assert abs(one) == 1 or other == pytest.approx(one + shift, abs=2e-6)


@given(draws)
@slow
def test_swapping_the_sides_flips_the_interval(x):
    found, turned = confidence_sequence(x), confidence_sequence(np.negative(x))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_equal_differences_leave_the_interval_at_its_full_width():
    for x in ([0.0] * 50, [0.002] * 50, [0.002]):
        assert (confidence_sequence(x).low, confidence_sequence(x).high) == (-1, 1)


def test_the_interval_holds_the_mean_after_a_divergence():
    x = [*np.random.default_rng(0).normal(0.003, 0.001, 19), -0.88]
    found = confidence_sequence(x)
    assert found.low <= found.mean < -0.03 < 0 < found.high


def test_invalid_samples_and_levels_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        confidence_sequence([])
    with pytest.raises(ValueError, match="NaN"):
        confidence_sequence([0.1, float("nan")])
    with pytest.raises(ValueError, match="alpha = 1; expected a probability between 0 and 1"):
        confidence_sequence([0.1, 0.2], 1)
