"""Statistics of seeds and pairs match hand-worked cases, scipy and general properties."""

import math
from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from optbench.comparison.baseline import by_label
from optbench.definition.sweep import FixedTrial
from optbench.statistics.paired import equivalence, improvement, paired
from optbench.statistics.power import seeds_to_decide
from optbench.statistics.pvalues import holm, least_pairs, min_p
from optbench.statistics.seeds import confirmation, finite, mean_interval, sampling_interval
from optbench.storage import TrialRecord
from tests.conftest import sweep_of

fractions = st.integers(0, 10000).map(lambda correct: correct / 10000)  # accuracies on 10,000 images
pairs = st.lists(st.tuples(fractions, fractions), min_size=2, max_size=8)
samples = st.lists(fractions, min_size=2, max_size=12)
slow = settings(deadline=None, max_examples=50)  # the machine may be busy


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    with pytest.raises(ValueError, match="expected values from 0 to 1"):
        holm([1.2])


def test_the_interval_of_five_values_by_hand():
    # mean 3, s = sqrt(2.5), t(4, 0.975) = 2.776445105198
    found = mean_interval([1, 2, 3, 4, 5])
    assert (found.n, found.mean) == (5, 3.0)
    assert found.deviation == pytest.approx(math.sqrt(2.5))
    assert found.margin == pytest.approx(2.776445105198 * math.sqrt(2.5 / 5))


def test_one_value_has_no_spread():
    assert math.isnan(mean_interval([0.5]).margin)


def test_an_interval_of_no_value_is_refused():
    with pytest.raises(ValueError, match="expected at least one"):
        mean_interval([])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.randoms())
def test_an_interval_ignores_the_order_and_its_mean_lies_among_the_values(values, random):
    shuffled = random.sample(values, len(values))
    one, two = mean_interval(values), mean_interval(shuffled)
    assert one.mean == pytest.approx(two.mean)
    assert min(values) - 1e-12 <= one.mean <= max(values) + 1e-12
    assert one.margin == pytest.approx(two.margin)


def test_a_baseline_is_summarized_by_label():
    labels = (("a", 0.8), ("a", 0.8), ("b", None), ("c", None))
    fixed = tuple(FixedTrial("sgd", {}, label=label, published_test_accuracy=figure) for label, figure in labels)
    rest = dict.fromkeys(field.name for field in fields(TrialRecord))  # the other fields do not matter here
    records = [
        TrialRecord(**(rest | {"label": label, "value": value}))
        for label, value in [("a", 0.81), ("a", 0.83), ("b", 0.5), ("c", None)]
    ]
    found = by_label(replace(sweep_of(), fixed=fixed), records)
    assert [(s.label, s.accuracy.n) for s in found] == [("a", 2), ("b", 1)]
    assert found[0].difference == pytest.approx(2.0)
    assert found[1].difference is None


def test_too_few_or_non_finite_values_are_refused():
    assert finite([1, 2], 2).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"shape \(1,\); expected a list of at least 2"):
        finite([1.0], 2)
    with pytest.raises(ValueError, match="2 values are NaN or infinite; expected finite ones"):
        finite([1.0, math.nan, math.inf])


def test_confirmation_by_hand():
    # IQM: 25 % of 8 drops two values at each end: (3 + 4 + 5 + 6) / 4; t(7, 0.975) = 2.364624251010; s^2 = 2786 / 7
    found = confirmation([60, 0, 2, 3, 4, 5, 6, 8])
    assert (found.n, found.mean, found.median, found.iqm, found.min, found.max) == (8, 11, 4.5, 4.5, 0, 60)
    assert found.deviation == pytest.approx(math.sqrt(2786 / 7))
    margin = 2.364624251010 * math.sqrt(2786 / 7 / 8)
    assert (found.low, found.high) == pytest.approx((11 - margin, 11 + margin))


def test_the_confirmation_of_one_seed_has_no_interval():
    found = confirmation([0.9])
    assert (found.mean, found.median, found.iqm, found.min, found.max) == (0.9,) * 5
    assert all(map(math.isnan, (found.low, found.high, found.deviation)))


@slow
@given(samples, st.randoms())
def test_a_confirmation_lies_among_its_values_and_ignores_their_order(values, random):
    found = confirmation(values)
    for middle in (found.mean, found.median, found.iqm):
        assert min(values) - 1e-12 <= middle <= max(values) + 1e-12
    assert found.low - 1e-12 <= found.mean <= found.high + 1e-12
    again = confirmation(random.sample(values, len(values)))
    assert (again.low, again.high, again.iqm) == pytest.approx((found.low, found.high, found.iqm))


def test_five_pairs_that_all_agree_cannot_reach_five_percent():
    found = paired([0.95, 0.96, 0.97, 0.98, 0.99], [0.94, 0.94, 0.94, 0.94, 0.94])
    assert (found.n, found.mean) == (5, pytest.approx(0.03))
    assert found.sign_flip_p == found.wilcoxon_p == min_p(5) == 0.0625
    # s = 0.01 sqrt(2.5), t(4, 0.975) = 2.776445105198
    assert found.high - found.mean == pytest.approx(0.01 * 2.776445105198 * math.sqrt(2.5 / 5))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_sign_flips_by_hand():
    # of the eight means of ±1 ±2 ±4, four are at least as far from 0 as (4 + 2 - 1) / 3: those of ±5 and ±7
    assert paired([4, 2, 0], [0, 0, 1]).sign_flip_p == 0.5


def test_equal_differences_tie_although_they_round_differently():
    # +11, +11, -11 of 10,000: the mean of every combination of signs is at least as far from 0
    a, b = np.array([0.9512, 0.9812, 0.9790]), np.array([0.9501, 0.9801, 0.9801])
    single = np.array([0.9025, 0.9812, 0.9790], np.float32), np.array([0.9014, 0.9801, 0.9801], np.float32)
    for one, two in [(a, b), single]:
        assert len(set(np.abs(one.astype(float) - two))) > 1
        found = paired(one, two)
        assert found.sign_flip_p == 1.0
        assert found.wilcoxon_p == stats.wilcoxon([11, 11, -11]).pvalue


@slow
@given(pairs)
def test_sign_flips_agree_with_counting_in_whole_numbers(given_pairs):
    images = [round(10000 * a) - round(10000 * b) for a, b in given_pairs]
    flips = product((1, -1), repeat=len(images))
    sums = [abs(sum(sign * n for sign, n in zip(signs, images, strict=True))) for signs in flips]
    found = paired(*zip(*given_pairs, strict=True))
    assert found.sign_flip_p == sum(s >= abs(sum(images)) for s in sums) / len(sums)
    assert found.sign_flip_p >= min_p(found.n)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(images).pvalue if any(images) else 1.0)


@slow
@given(pairs)
def test_swapping_the_sides_flips_the_difference(given_pairs):
    a, b = zip(*given_pairs, strict=True)
    one, two = paired(a, b), paired(b, a)
    assert (one.mean, one.low, one.high) == pytest.approx((-two.mean, -two.high, -two.low))
    assert (one.sign_flip_p, one.wilcoxon_p) == pytest.approx((two.sign_flip_p, two.wilcoxon_p))


@pytest.mark.parametrize(("n", "tolerance"), [(12, 1e-12), (16, 1e-12), (20, 0.01)])
def test_exact_and_random_sign_flips_agree_with_scipy(n, tolerance):
    differences = np.random.default_rng(n).normal(0.2, 0.5, n)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=2**16 if n <= 16 else 10_000, rng=1
    ).pvalue
    found = paired(differences, np.zeros(n)).sign_flip_p
    assert 0.02 < found < 0.98
    assert found == pytest.approx(expected, abs=tolerance)
    assert paired(differences, np.zeros(n)).sign_flip_p == found


def test_random_flips_never_give_a_p_of_zero():
    assert paired(np.ones(40), np.zeros(40)).sign_flip_p == 1 / 100_001


def test_no_difference_at_all():
    found = paired([0.9, 0.8], [0.9, 0.8])
    assert (found.mean, found.low, found.high, found.sign_flip_p, found.wilcoxon_p) == (0, 0, 0, 1, 1)


@pytest.mark.parametrize("compare", [paired, equivalence])
def test_unequal_or_too_few_pairs_are_refused(compare):
    with pytest.raises(ValueError, match="3 and 2 values; expected pairs that share their seeds"):
        compare([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="expected a list of at least 2"):
        compare([1], [1])


def test_the_smallest_p_that_n_pairs_can_reach():
    assert [min_p(n) for n in (1, 2, 6)] == [1.0, 0.5, 0.03125]
    with pytest.raises(ValueError, match="0 pairs; expected at least one"):
        min_p(0)


def test_the_fewest_pairs_that_can_show_a_difference():
    assert [least_pairs(limit) for limit in (2.0, 0.05, 0.05 / 4)] == [1, 6, 8]
    with pytest.raises(ValueError, match="a limit of 0; expected one above 0"):
        least_pairs(0)


def test_improvement_by_hand():
    # of the six pairs, 3 wins against 1 and 2, 2 wins against 1 and ties with 2, and 0 loses twice
    found = improvement([2, 3, 0], [1, 2])
    assert found.fraction == pytest.approx((2 + 1.5 + 0) / 6)
    assert improvement([2, 3], [0, 1, 1]) == improvement([2, 3], [0, 1, 1], seed=9)
    assert (improvement([2, 3], [0, 1]).low, improvement([0, 1], [2, 3]).high) == (1, 0)


def test_the_bootstrap_of_improvement_by_hand():
    # a's two resampled values are independent, each above b's with probability 1/2: means 0, 1/2, 1 at 1/4, 1/2, 1/4
    found = improvement([0, 2], [1, 1])
    assert (found.fraction, found.low, found.high) == (0.5, 0, 1)


@slow
@given(samples, samples)
def test_improvement_is_the_mann_whitney_probability(a, b):
    found = improvement(a, b)
    assert found.fraction == pytest.approx(stats.mannwhitneyu(a, b, method="asymptotic").statistic / (len(a) * len(b)))
    assert 0 <= found.low <= found.high <= 1
    assert found.fraction + improvement(b, a).fraction == pytest.approx(1)


def test_the_interval_of_improvement_is_repeatable_and_covers_the_true_value():
    random = np.random.default_rng(0)
    draws = [(random.normal(0.5, 1, 12), random.normal(0, 1, 12)) for _ in range(100)]
    truth = stats.norm.cdf(0.5 / math.sqrt(2))
    found = [improvement(a, b) for a, b in draws]
    assert 88 <= sum(f.low <= truth <= f.high for f in found) < 100
    assert found[0] == improvement(*draws[0]) != improvement(*draws[0], seed=1)


def test_equivalence_by_hand():
    # d = 0, 1, 2, 3 (/ 10,000): mean 1.5, s = sqrt(5/3), t(3, 0.95) = 2.353363434802
    found = equivalence([0.9800, 0.9801, 0.9802, 0.9803], [0.98] * 4)
    margin = 2.353363434802 * math.sqrt(5 / 3 / 4)
    assert (found.low, found.high) == pytest.approx(((1.5 - margin) / 1e4, (1.5 + margin) / 1e4))
    assert found.equal
    t = (10 - 1.5) / math.sqrt(5 / 3 / 4)
    assert found.p == pytest.approx(stats.t.sf(t, 3))
    assert not equivalence([0.9800, 0.9801, 0.9802, 0.9803], [0.98] * 4, margin=0.0003).equal


def test_a_difference_that_is_not_significant_is_not_equality():
    a, b = [0.97, 0.98, 0.99], [0.98, 0.97, 0.985]
    assert paired(a, b).sign_flip_p > 0.5
    found = equivalence(a, b)
    assert not found.equal
    assert found.p > 0.05


@pytest.mark.parametrize("shift", [0.0, 0.0009, 0.001, -0.001])
def test_without_spread_equality_is_not_shown(shift):
    b = np.array([0.9, 0.95, 0.98])
    found = equivalence(b + shift, b)
    assert (found.equal, found.p) == (False, 1.0)
    assert found.low == pytest.approx(shift)


@slow
@given(pairs, st.floats(1e-5, 0.5))
def test_the_interval_and_the_p_of_equivalence_agree(given_pairs, margin):
    a, b = zip(*given_pairs, strict=True)
    found = equivalence(a, b, margin)
    assert found.equal == (found.p < 0.05)
    assert equivalence(b, a, margin).p == pytest.approx(found.p)
    assert equivalence(a, b, 2 * margin).p <= found.p


@pytest.mark.parametrize("margin", [0, -0.1, math.nan])
def test_a_margin_that_is_not_above_zero_is_refused(margin):
    with pytest.raises(ValueError, match="expected one above 0"):
        equivalence([1, 2], [1, 2], margin)


@pytest.mark.parametrize(
    ("mean", "deviation", "pairs_", "expected"),
    [
        (0.01, 0.0, 1, 6),  # 2 / 2^6 is the first below 0.05
        (0.01, 0.0, 3, 7),  # 2 / 2^7 is the first below 0.05 / 3
        (0.0, 0.0, 1, 2),  # equal at once
        (0.002, 0.002, 1, 7),  # t = sqrt(7) has p = 0.038 at 6 degrees of freedom; sqrt(6) has 0.058 at 5
        (0.0, 0.001, 1, 5),  # t(4, 0.95) / sqrt(5) = 0.953; t(3, 0.95) / 2 = 1.18
        (0.001, 0.1, 1, None),
    ],
)
def test_the_number_of_seeds_that_would_decide(mean, deviation, pairs_, expected):
    assert seeds_to_decide(mean, deviation, 0.001, pairs_) == expected
    assert seeds_to_decide(-mean, deviation, 0.001, pairs_) == expected


def test_seeds_to_decide_needs_a_deviation_and_a_margin():
    with pytest.raises(ValueError, match="expected at least 0 and above 0"):
        seeds_to_decide(0.1, float("nan"), 0.001)
    with pytest.raises(ValueError, match="expected at least 0 and above 0"):
        seeds_to_decide(0.1, 0.1, 0.0)


def test_the_interval_of_a_finite_test_set_also_holds_where_all_are_right():
    assert sampling_interval(0.98, 10_000) == pytest.approx((0.97706, 0.98257), abs=1e-5)
    assert sampling_interval(1.0, 67) == pytest.approx((67 / (67 + 1.959964**2), 1.0))
    with pytest.raises(ValueError, match="an accuracy of 98 on 297 examples"):
        sampling_interval(98, 297)
