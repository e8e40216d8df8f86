"""The arithmetic of finals: rounds within a budget, which candidates enter, which go on, and which one wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optbench.definition.rounds import MOST, Round, fitting, rounds, smallest, too_small, trainings
from optbench.scheduler.finals import (
    Candidate,
    FinalsPlan,
    chosen,
    enters,
    first_round,
    fresh_seeds,
    next_round,
    ranked,
)


@pytest.mark.parametrize(
    ("candidates", "budget", "expected"),
    [
        (8, 16, [(8, 1), (4, 1), (2, 2)]),
        (8, 14, [(8, 1), (4, 1), (2, 1)]),
        (8, 48, [(8, 2), (4, 4), (2, 8)]),
        (5, 10, [(5, 1), (3, 1), (2, 1)]),
        (4, 8, [(4, 1), (2, 2)]),
        (2, 4, [(2, 2)]),
        (2, 5, [(2, 2)]),
        (8, 13, []),
        (2, 3, []),
        (1, 100, []),
    ],
)
def test_rounds_share_the_budget_and_the_better_half_goes_on(candidates, budget, expected):
    assert [(one.candidates, one.seeds) for one in rounds(candidates, budget)] == expected


@given(candidates=st.integers(2, 300), budget=st.integers(0, 3000))
def test_rounds_exist_from_the_smallest_budget_on_and_never_cost_more(candidates, budget):
    found = rounds(candidates, budget)
    assert bool(found) == (budget >= smallest(candidates))
    if found:
        assert sum(one.trainings for one in found) <= budget
        assert found[0].candidates == candidates
        assert found[-1].candidates == 2
        assert sum(one.seeds for one in found) >= 2, "the winner has at least two seeds"


@given(available=st.integers(0, 40), budget=st.integers(0, 60))
def test_the_default_is_the_largest_number_of_candidates_that_fits(available, budget):
    count = fitting(available, budget)
    assert count <= min(available, MOST)
    assert not count or rounds(count, budget)
    if max(2, count + 1) <= min(available, MOST):
        assert not rounds(max(2, count + 1), budget)


def test_a_budget_is_a_fraction_of_the_trials_without_rounding_noise():
    assert trainings(0.29, 100) == 29
    assert trainings(0.25, 30) == 7
    assert [trainings(None, trials) for trials in (4, 24, 40, 64, 100)] == [1, 6, 10, 10, 16]


@pytest.mark.parametrize(
    ("trials", "expected"), [(64, "[finals] budget = 0.1 or more"), (3, "a search of at least 120 trials")]
)
def test_a_budget_that_is_too_small_says_what_fits(trials, expected):
    message = too_small(0.05, trials, 4, 6)
    assert message.endswith(f"but 4 candidates need 6; expected {expected}")


def candidate(trial, value, known=False):
    return Candidate(trial, "adam", {"learning_rate": trial / 10}, value, known)


def test_known_settings_always_enter():
    found = [candidate(0, 0.1, known=True), candidate(1, 0.2, known=True), *(candidate(n, n / 10) for n in range(2, 9))]
    assert [one.trial for one in chosen(found, 4)] == [8, 7, 1, 0]
    assert [one.trial for one in chosen(found, 2)] == [1, 0]
    assert [one.trial for one in chosen(found, 99)] == [8, 7, 6, 5, 4, 3, 1, 2, 0]


def test_equal_single_runs_keep_the_order_of_the_trials():
    assert [one.trial for one in chosen([candidate(n, 0.5) for n in (3, 1, 2)], 2)] == [1, 2]


def test_a_trial_may_enter_if_it_was_pruned_late():
    assert [enters(False, epochs, 50) for epochs in (16, 17, 50)] == [False, True, True]
    assert enters(True, 1, 50)


PLAN = FinalsPlan((Round(4, 1), Round(2, 2)), 20)


def start():
    return first_round([candidate(n, 0.9 - n / 100) for n in range(4)], 1, 7)


def test_candidates_of_a_round_share_fresh_seeds_and_other_rounds_have_other_seeds():
    first = start()
    assert {trial.seed for trial in first} == set(fresh_seeds(7, 0, 1))
    second = next_round(PLAN, first, {0: 0.1, 1: 0.2, 2: 0.4, 3: 0.3}, 7)
    assert [(trial.source_trial, trial.seed) for trial in second] == [
        (number, seed) for number in (2, 3) for seed in fresh_seeds(7, 1, 2)
    ]
    assert len(set(fresh_seeds(7, 0, 3))) == 3
    assert fresh_seeds(8, 0, 3) != fresh_seeds(7, 0, 3)
    assert len(first) + len(second) == PLAN.total


def test_the_next_round_starts_after_the_last_trial_and_the_last_round_has_no_next():
    first = start()
    assert next_round(PLAN, first, {0: 0.1, 1: 0.2, 2: 0.4}, 7) == ()
    both = (*first, *next_round(PLAN, first, {0: 0.1, 1: 0.2, 2: 0.4, 3: 0.3}, 7))
    assert next_round(PLAN, both, dict.fromkeys(range(8), 0.5), 7) == ()


def test_finalists_are_ranked_by_rounds_before_means():
    first = start()
    values = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.1}
    both = (*first, *next_round(PLAN, first, values, 7))
    standing = ranked(PLAN, both, values | {4: 0.1, 5: 0.1, 6: 0.2, 7: 0.3})
    assert [(one.trial, one.rounds, len(one.scores)) for one in standing] == [
        (1, 2, 3),
        (0, 2, 3),
        (2, 1, 1),
        (3, 1, 1),
    ]
    assert standing[0].mean == pytest.approx((0.8 + 0.2 + 0.3) / 3)


def test_equal_means_keep_the_order_of_the_single_runs():
    first = start()
    assert [t.source_trial for t in next_round(PLAN, first, dict.fromkeys(range(4), 0.5), 7)] == [0, 0, 1, 1]


def test_an_unfinished_round_is_ranked_by_its_finished_trials():
    assert [one.trial for one in ranked(PLAN, start(), {1: 0.5, 3: 0.6})] == [3, 1]


def test_a_finalist_has_an_interval_and_an_optimism():
    first = start()
    one = ranked(PLAN, first, {0: 0.9})[0]
    assert (one.interval.n, one.optimism) == (1, None)
