"""Statistics of a search and its budget match published values, hand-worked cases, scipy and general properties."""

import math
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from optbench.statistics.budget import (
    band_of_k,
    best_of_k,
    best_of_k_unbiased,
    distribution_band,
    largest_k,
    median_of_k,
    tunability,
    win_probability,
)
from optbench.statistics.search import (
    audit,
    boundary,
    diverged_fraction,
    fraction_interval,
    growth,
    incumbent,
    time_to_target,
    wider,
)

PUBLISHED = [0.72, 0.83, 0.92, 0.68, 0.75]
fractions = st.integers(0, 10000).map(lambda correct: correct / 10000)
samples = st.lists(fractions, min_size=1, max_size=30)
quick = settings(deadline=None, max_examples=60)  # the machine may be busy


def test_best_of_k_matches_published_values():
    assert best_of_k(PUBLISHED, [2, 4]) == pytest.approx([0.8272, 0.871936])
    assert best_of_k_unbiased(PUBLISHED, [2, 4]) == pytest.approx([0.839, 0.902])
    assert median_of_k(PUBLISHED, [1, 2, 4]).tolist() == [0.75, 0.83, 0.92]


@pytest.mark.parametrize("n", [1, 7, 100, 3000])
def test_the_expected_best_of_k_whole_numbers(n):
    k = np.unique(np.linspace(1, n, 20, dtype=int))
    assert best_of_k_unbiased(np.arange(1, n + 1), k) == pytest.approx(k * (n + 1) / (k + 1), rel=1e-12)


@quick
@given(st.lists(fractions, min_size=1, max_size=7), st.integers(1, 4))
def test_both_estimators_are_means_over_all_draws(values, k):
    mean_of_best = np.mean([max(drawn) for drawn in product(values, repeat=k)])
    assert best_of_k(values, k) == pytest.approx([mean_of_best])
    if k <= len(values):
        mean_of_best = np.mean([max(drawn) for drawn in combinations(values, k)])
        assert best_of_k_unbiased(values, k) == pytest.approx([mean_of_best])


@quick
@given(samples, st.randoms())
def test_best_of_k_rises_from_the_mean_to_the_best_in_any_order(values, random):
    n = len(values)
    k = np.arange(1, n + 1)
    shuffled = random.sample(values, n)
    for curve in (best_of_k, best_of_k_unbiased):
        found = curve(values, k)
        assert found[0] == pytest.approx(np.mean(values))
        assert (np.diff(found) >= -1e-12).all()
        assert found.max() <= max(values) + 1e-12
        assert curve(shuffled, k).tolist() == found.tolist()
    assert (best_of_k(values, k) <= best_of_k_unbiased(values, k) + 1e-12).all()
    assert best_of_k_unbiased(values, n) == pytest.approx([max(values)])
    assert best_of_k(values, 1000 * n) == pytest.approx([max(values)])


def test_the_unbiased_estimator_is_unbiased_and_the_other_is_too_low():
    # the expected best of 5 uniform numbers is 5/6
    draws = np.random.default_rng(0).random((2000, 8))
    assert np.mean([best_of_k_unbiased(d, 5)[0] for d in draws]) == pytest.approx(5 / 6, abs=0.008)
    assert np.mean([best_of_k(d, 5)[0] for d in draws]) < 5 / 6 - 0.02


@quick
@given(samples, st.integers(1, 50))
def test_the_median_of_k_is_the_first_value_that_half_of_the_draws_do_not_exceed(values, k):
    found = median_of_k(values, k)[0]
    below = [Fraction(sum(v <= x for v in values), len(values)) ** k for x in sorted(values)]
    assert found == next(x for x, fraction in zip(sorted(values), below, strict=True) if fraction >= Fraction(1, 2))


def test_the_band_of_one_draw_by_hand():
    # the distribution function at the only draw is uniform
    lower, upper = distribution_band(1, 0.9)
    assert (lower[0], upper[0]) == pytest.approx((0.05, 0.95), abs=0.005)
    low, high = band_of_k([0.7], [1, 2], 0.9)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.5), (5, 0.8), (64, 0.95), (300, 0.95)])
def test_the_bounds_hold_at_all_draws_at_once_with_their_confidence(n, confidence):
    lower, upper = distribution_band(n, confidence)
    assert lower == pytest.approx(1 - upper[::-1])
    draws = np.sort(np.random.default_rng(1).random((20_000, n)), axis=1)
    held = ((draws >= lower) & (draws <= upper)).all(axis=1).mean()
    assert held == pytest.approx(confidence, abs=0.015)


def test_the_band_ends_at_the_draws_whose_bounds_enclose_the_quantile():
    values, k = np.arange(1, 101), np.array([1, 2, 4, 10])
    low, high = band_of_k(values, k)
    lower, upper = distribution_band(100, 0.95)
    for q, below, above in zip(0.5 ** (1 / k), low, high, strict=True):
        assert below == max(value for value, bound in zip(values, upper, strict=True) if bound <= q)
        assert above == min(value for value, bound in zip(values, lower, strict=True) if bound >= q)
    assert largest_k(100) == 10
    assert math.isnan(band_of_k(values, 11)[1][0])


def test_the_band_of_a_small_sample_has_no_ends():
    assert all(math.isnan(end[0]) for end in band_of_k(PUBLISHED, [1]))
    assert [largest_k(n) for n in (1, 7, 9, 50)] == [0, 0, 1, 5]
    assert all(n / 11 < largest_k(n) < n / 9 for n in (64, 100, 300))


@quick
@given(samples, st.floats(0.5, 0.99))
def test_the_band_encloses_the_median_and_has_both_ends_up_to_the_largest_k(values, confidence):
    k = np.arange(1, 40)
    low, high = band_of_k(values, k, confidence)
    middle = median_of_k(values, k)
    assert not (low > middle).any()
    assert not (high < middle).any()
    last = largest_k(len(values), confidence)
    assert ((~np.isnan(low) & ~np.isnan(high)) == (k <= last)).all() or last == 0
    assert last > 0 or np.isnan(low[0])
    wide_low, wide_high = band_of_k(values, k, 0.999)
    assert not (wide_low > low).any()
    assert not (wide_high < high).any()


def test_the_band_covers_the_true_curve_at_all_k_at_once():
    # the median of the best of k uniform numbers is 0.5^(1/k)
    k = np.arange(1, 30)
    truth = 0.5 ** (1 / k)
    draws = np.random.default_rng(0).random((400, 60))
    covered = [not ((low > truth) | (high < truth)).any() for low, high in (band_of_k(d, k) for d in draws)]
    assert np.mean(covered) >= 0.95
    half = [not ((low > truth) | (high < truth)).any() for low, high in (band_of_k(d, k, 0.5) for d in draws)]
    assert 0.5 <= np.mean(half) < 0.9


@pytest.mark.parametrize("curve", [best_of_k, best_of_k_unbiased, median_of_k, band_of_k])
@pytest.mark.parametrize(
    ("values", "k", "message"),
    [
        ([], 1, "expected a list of at least 1"),
        ([0.5, math.nan], 1, "1 values are NaN or infinite"),
        ([0.5], 0, "k = 0; expected whole numbers from 1"),
        ([0.5], [1.5], "expected whole numbers from 1"),
        ([0.5], [], "expected whole numbers from 1"),
        ([0.5], np.array([], dtype=int), "expected whole numbers from 1"),
    ],
)
def test_invalid_values_and_budgets_are_refused(curve, values, k, message):
    with pytest.raises(ValueError, match=message):
        curve(values, k)


def test_a_budget_beyond_the_sample_is_refused():
    with pytest.raises(ValueError, match="k = 6; expected at most 5"):
        best_of_k_unbiased(PUBLISHED, [2, 6])
    with pytest.raises(ValueError, match="0 trials; expected at least one"):
        largest_k(0)
    with pytest.raises(ValueError, match="expected one between 0 and 1"):
        largest_k(9, 1.0)


def test_tunability_by_hand():
    # 2 of 10 are at most 1 percentage point below 0.98, one of them by exactly 1: ceil(ln 0.05 / ln 0.8) = ceil(13.43)
    found = tunability([0.98, 0.97, *[0.9] * 8], 0.01)
    assert (found.fraction, found.trials) == (0.2, 14)
    # Wilson at z = 1.959964: (2 + z^2/2 ± z sqrt(2 * 8 / 10 + z^2/4)) / (10 + z^2)
    z = 1.959963984540
    half = z * math.sqrt(1.6 + z * z / 4)
    ends = [(2 + z * z / 2 + sign * half) / (10 + z * z) for sign in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(ends)


@pytest.mark.parametrize(("near", "n", "trials"), [(5, 5, 1), (19, 20, 1), (18, 20, 2), (1, 20, 59), (1, 1, 1)])
def test_the_number_of_trials_for_a_chance_of_95_percent(near, n, trials):
    assert tunability([0.9] * near + [0.1] * (n - near), 0.05).trials == trials


@quick
@given(samples, fractions)
def test_it_is_the_smallest_number_of_trials_that_reaches_95_percent(values, delta):
    found = tunability(values, delta)
    missed = Fraction(sum(round(1e4 * (max(values) - v - delta)) > 0 for v in values), len(values))
    assert found.fraction == pytest.approx(float(1 - missed))
    assert missed**found.trials <= Fraction(1, 20)
    assert found.trials == 1 or missed ** (found.trials - 1) > Fraction(1, 20)
    assert 0 <= found.low <= found.fraction <= found.high + 1e-12 <= 1 + 1e-9


def test_a_trial_exactly_delta_below_the_best_counts_despite_rounding():
    assert 0.8 - 0.1 > 0.7
    assert tunability([0.8, 0.7, 0.6999], 0.1).fraction == pytest.approx(2 / 3)


def test_a_negative_delta_is_refused():
    with pytest.raises(ValueError, match=r"delta = -0.1; expected at least 0"):
        tunability([0.5], -0.1)


@quick
@given(st.lists(fractions, min_size=1, max_size=5), st.lists(fractions, min_size=1, max_size=5), st.integers(1, 3))
def test_win_probability_is_the_fraction_of_all_draws_that_win(a, b, k):
    bests = [[max(drawn) for drawn in product(side, repeat=k)] for side in (a, b)]
    found = win_probability(a, b, k)
    # the fraction of pairs; ties count half
    one, two = np.array(bests[0])[:, None], np.array(bests[1])
    assert found == pytest.approx(((one > two) + 0.5 * (one == two)).mean())
    assert found + win_probability(b, a, k) == pytest.approx(1)
    assert -1e-12 <= found <= 1 + 1e-12


def test_with_more_draws_the_side_with_the_better_best_wins():
    a, b = [0.1] * 9 + [0.99], [0.98] * 10
    found = [win_probability(a, b, k) for k in (1, 5, 500)]
    assert found == pytest.approx([0.1, 1 - 0.9**5, 1])
    with pytest.raises(ValueError, match="expected whole numbers from 1"):
        win_probability(a, b, 0)


def test_the_incumbent_by_hand():
    found = incumbent([math.nan, 0.5, math.nan, 0.4, 0.7, 0.6])
    assert found.tolist() == pytest.approx([math.nan, 0.5, 0.5, 0.5, 0.7, 0.7], nan_ok=True)
    with pytest.raises(ValueError, match="expected a list of at least one"):
        incumbent([])


@quick
@given(samples)
def test_the_incumbent_never_falls_and_ends_at_the_best(values):
    found = incumbent(values)
    assert found.tolist() == [max(values[: i + 1]) for i in range(len(values))]


def test_the_first_epoch_that_reaches_each_target():
    curve = [0.9, None, 0.96, math.nan, float(np.float32(0.97)), 0.965, 0.9749]
    assert float(np.float32(0.95)) < 0.95
    assert time_to_target(curve, [0.95, 0.97, 0.975, 0.98]) == (3, 5, None, None)
    assert time_to_target([float(np.float32(0.95))], [0.95, 0.9501]) == (1, None)
    with pytest.raises(ValueError, match="a curve of no epochs"):
        time_to_target([], [0.9])


@pytest.mark.parametrize(
    ("units", "ends"),
    [
        ([0.04, 0.5], ("low",)),
        ([0.05, 0.5], ()),
        ([0.96, 0.5], ("high",)),
        ([0.95, 0.5], ()),
        ([0.5, 0.1, 0.0, 0.05, 0.09, 0.5], ("low",)),
        ([0.5, 0.1, 0.0, 0.05, 0.11, 0.5], ()),
        ([0.5, 0.9, 1.0, 0.95, 0.91], ("high",)),
        ([0.5] * 7 + [0.99] * 4, ()),  # only three of the four are among the top ten
        ([0.02, 0.99, 0.99, 0.99, 0.99], ("low", "high")),
        ([1 + 1e-12], ("high",)),
    ],
)
def test_the_best_trials_near_an_end_of_the_range_are_noticed(units, ends):
    found = boundary(units)
    assert found.ends == ends
    assert found.position == units[0]
    mirrored = boundary([1 - unit for unit in units])
    assert (mirrored.crowded_low, mirrored.crowded_high) == (found.crowded_high, found.crowded_low)


@pytest.mark.parametrize(
    ("units", "message"), [([], "at least 1"), ([0.5, 1.2], "from 0.5 to 1.2; expected 0 to 1"), ([-0.2], "0 to 1")]
)
def test_positions_outside_the_unit_interval_are_refused(units, message):
    with pytest.raises(ValueError, match=message):
        boundary(units)


def test_wider_by_hand():
    assert wider(2, 6, False, "low") == (0, 6)
    assert wider(2, 6, False, "high") == (2, 8)
    assert wider(1e-4, 1e-2, True, "low") == pytest.approx((1e-5, 1e-2))
    assert wider(1e-4, 1e-2, True, "high") == pytest.approx((1e-4, 1e-1))


@quick
@given(st.floats(1e-8, 1), st.floats(1.01, 1e6), st.booleans(), st.sampled_from(["low", "high"]))
def test_a_wider_range_is_half_as_long_again_on_its_scale(low, ratio, log, end):
    high = low * ratio
    found = wider(low, high, log, end)
    scale = math.log if log else float
    assert scale(found[1]) - scale(found[0]) == pytest.approx(1.5 * (scale(high) - scale(low)))
    assert (found[0] == low) == (end == "high")
    assert (found[1] == high) == (end == "low")


@pytest.mark.parametrize(
    ("low", "high", "log", "end", "message"),
    [
        (2, 2, False, "low", "from 2 to 2; expected low < high$"),
        (0, 2, True, "low", "expected low < high, above 0"),
        (1, 2, True, "top", "end = 'top'; expected 'low' or 'high'"),
    ],
)
def test_ranges_that_cannot_be_widened_are_refused(low, high, log, end, message):
    with pytest.raises(ValueError, match=message):
        wider(low, high, log, end)


@pytest.mark.parametrize("method", ["wilson", "exact"])
def test_intervals_of_fractions_agree_with_scipy(method):
    for count, total in [(0, 5), (3, 10), (7, 7)]:
        expected = stats.binomtest(count, total).proportion_ci(0.95, method)
        assert fraction_interval(count, total, method) == (expected.low, expected.high)


def test_wilson_and_clopper_pearson_by_hand():
    z2 = 1.959963984540**2
    assert fraction_interval(0, 10) == pytest.approx((0, z2 / (10 + z2)))
    assert fraction_interval(0, 10, "exact") == pytest.approx((0, 1 - 0.025**0.1))
    for count, total in [(0, 0), (-1, 5), (6, 5)]:
        with pytest.raises(ValueError, match=f"{count} of {total}; expected 0 to all of at least one"):
            fraction_interval(count, total)


def test_more_than_thirty_percent_diverged_is_too_many():
    assert not diverged_fraction(3, 10).too_many
    found = diverged_fraction(31, 100)
    assert found.too_many
    assert (found.fraction, (found.low, found.high)) == (0.31, fraction_interval(31, 100))


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([2.0, 9.0, 1.0], 0.5),
        ([None, 2.0, math.inf, 6.0, math.nan], 3.0),
        ([2.0], math.nan),
        ([], math.nan),
        ([0.0, 1.0], math.nan),
    ],
)
def test_growth_is_the_last_finite_rate_over_the_first(rates, expected):
    assert growth(rates) == pytest.approx(expected, nan_ok=True)


def test_an_audit_by_hand():
    # one of four ended 0.5 percentage points above its incumbent; one diverged, and one only reached its incumbent
    found = audit([0.985, math.nan, 0.98, 0.9], [0.98, 0.98, 0.98, 0.97])
    assert (found.n, found.beaten) == (4, 0.25)
    assert found.regret == pytest.approx(0.5)
    assert (found.low, found.high) == fraction_interval(1, 4, "exact")


def test_an_audit_that_finds_no_cost_of_pruning():
    found = audit([0.9, 0.8, 0.7], [0.95, 0.95, 0.95])
    assert (found.beaten, found.low, found.regret) == (0, 0, 0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 3))


@pytest.mark.parametrize(
    ("ended", "best", "message"),
    [
        ([], [], "expected a list of at least 1"),
        ([0.5], [0.5, 0.6], "1 trials and 2 incumbents"),
        ([0.5], [math.nan], "1 values are NaN"),
    ],
)
def test_invalid_audits_are_refused(ended, best, message):
    with pytest.raises(ValueError, match=message):
        audit(ended, best)
