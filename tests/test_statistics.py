"""Statistics against reference values and properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optbench.analysis.baseline import by_label
from optbench.analysis.statistics import mean_interval
from optbench.storage import TrialRecord


def test_the_interval_of_five_values_by_hand():
    # mean 3, s = sqrt(2.5), t(4, 0.975) = 2.776445105198
    found = mean_interval([1, 2, 3, 4, 5])
    assert (found.n, found.mean) == (5, 3.0)
    assert found.deviation == pytest.approx(math.sqrt(2.5))
    assert found.margin == pytest.approx(2.776445105198 * math.sqrt(2.5 / 5))


def test_one_value_has_no_spread():
    assert math.isnan(mean_interval([0.5]).margin)


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match="expected at least one"):
        mean_interval([])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.randoms())
def test_order_does_not_matter_and_the_mean_lies_among_the_values(values, random):
    shuffled = random.sample(values, len(values))
    one, two = mean_interval(values), mean_interval(shuffled)
    assert one.mean == pytest.approx(two.mean)
    assert min(values) - 1e-12 <= one.mean <= max(values) + 1e-12
    assert one.margin == pytest.approx(two.margin)


def test_a_baseline_is_summed_up_by_label():
    definition = {
        "trial": [{"label": "a", "published_test_accuracy": 0.8}, {"label": "a"}, {"label": "b"}, {"label": "c"}]
    }
    definition["trial"][1]["published_test_accuracy"] = 0.8
    records = [
        TrialRecord(i, i, "complete", value, label, "adam", {}, {}, 0, 1, 1, "lanes", None)
        for i, (label, value) in enumerate([("a", 0.81), ("a", 0.83), ("b", 0.5), ("c", None)])
    ]
    found = by_label(definition, records)
    assert [(s.label, s.accuracy.n) for s in found] == [("a", 2), ("b", 1)]
    assert found[0].difference == pytest.approx(2.0)
    assert found[1].difference is None
