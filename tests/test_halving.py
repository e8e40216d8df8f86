"""Our successive halving: against Optuna's where it compares with all trials, its window, audits, several workers."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from optbench.comparison.collect import collect
from optbench.comparison.rows import rows
from optbench.report.page import report
from optbench.scheduler.attributes import TrialSystemAttribute
from optbench.scheduler.pruner import HalvingPruner, rungs
from optbench.scheduler.states import Decision, Ending, State
from tests.filled import peak, run, search
from tests.test_study import TRAINER, epoch, finish, study_of

values = st.sampled_from([0.1, 0.5, 0.6, 0.61, 0.7, 0.7000000000000001, 0.9])


@pytest.fixture
def url(new_url):
    return new_url("sqlite")


def test_the_epochs_after_which_it_decides_end_at_half_of_all():
    assert rungs(3, 2, 50) == [3, 6, 12, 24]
    assert rungs(1, 3, 6) == [1, 3]
    assert rungs(5, 2, 6) == [5]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(values, min_size=9, max_size=9), max_size=14), st.integers(2, 4), st.integers(1, 3))
def test_with_a_window_over_all_trials_it_decides_as_optunas_does(curves, factor, first):
    ours = HalvingPruner(rungs(first, factor, 1000), factor, 10**6)
    theirs = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor)
    assert _played(curves, ours) == _played(curves, theirs)


def _played(curves, pruner):
    """How many epochs each trial gets, one after the other."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, lengths = optuna.create_study(direction="maximize", pruner=pruner), []
    for curve in curves:
        trial, state = study.ask(), TrialState.COMPLETE
        for length, value in enumerate(curve, start=1):
            trial.report(value, length)
            if trial.should_prune():
                state = TrialState.PRUNED
                break
        study.tell(trial, curve[-1] if state == TrialState.COMPLETE else None, state)
        lengths.append(length)
    return lengths


def test_it_compares_with_the_last_trials_only():
    study = optuna.create_study(direction="maximize")
    for value in [0.1, 0.2, 0.3, 0.3, 0.2, 0.8, 0.8]:
        study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={1: value}))
    middling = create_trial(state=TrialState.RUNNING, intermediate_values={1: 0.7})
    middling.number = 7
    assert HalvingPruner([1], 2, 3).prune(study, middling) is True
    assert HalvingPruner([1], 2, 8).prune(study, middling) is False
    assert HalvingPruner([2], 2, 3).prune(study, middling) is False


def test_an_audited_trial_does_not_lower_the_bar_of_later_epochs():
    study = optuna.create_study(direction="maximize")
    marks = {TrialSystemAttribute.AUDIT.value: 1}
    for value in (0.9, 0.8):
        study.add_trial(create_trial(state=TrialState.COMPLETE, value=value, intermediate_values={1: value, 2: value}))
    for _ in range(3):
        weak = create_trial(
            state=TrialState.COMPLETE, value=0.1, intermediate_values={1: 0.1, 2: 0.1}, system_attrs=marks
        )
        study.add_trial(weak)
    trial = create_trial(state=TrialState.RUNNING, intermediate_values={1: 0.5})
    trial.number = 5
    pruner = HalvingPruner([1, 2], 2, 8)
    assert pruner.prune(study, trial) is False
    trial.intermediate_values[2] = 0.5
    assert pruner.prune(study, trial) is True


def test_a_worker_prunes_by_the_running_and_the_finished_trials_of_others(storage):
    sizes = {"epochs": 8, "trials": 30, "pruner": {"name": "successive_halving", "min_resource": 1}}
    one, two = study_of(storage, **sizes), study_of(storage, **sizes)
    finish(one, one.ask("adadelta", TRAINER), value=0.9, epochs=8)
    running = one.ask("adadelta", TRAINER)
    one.decide(running, epoch(1, 0.8))
    one.record({running.number: epoch(1, 0.8)}, {})
    between, weak = two.ask("adadelta", TRAINER), two.ask("adadelta", TRAINER)
    assert two.decide(between, epoch(1, 0.7)) is Decision.PRUNED
    two.record({between.number: epoch(1, 0.7)}, {between.number: Ending(Decision.PRUNED, 0.7, 1)})
    assert two.decide(weak, epoch(1, 0.75)) is Decision.PRUNED
    strong = study_of(storage, **sizes).ask("adadelta", TRAINER)
    assert strong is not None
    three = study_of(storage, **sizes)
    best = three.ask("adadelta", TRAINER)
    assert three.decide(best, epoch(1, 0.85)) is Decision.CONTINUE


def test_the_report_says_what_it_saved_and_what_it_cost(storage):
    sweep = search(pruner={"name": "successive_halving", "audit": 0.3}, trials=40)
    run(storage, sweep, "adadelta", peak)
    collected = collect(storage, ["adadelta"])
    records = collected.arms[0].source.trials
    pruned = [trial for trial in records if trial.state is State.PRUNED]
    audited = [trial for trial in records if trial.audit is not None]
    saved = sum(6 - trial.epochs for trial in pruned)
    assert pruned
    assert {trial.epochs for trial in pruned} <= {1, 2}
    assert {trial.epochs for trial in audited} == {6}
    text = report(collected, rows(collected), [])
    assert f"{len(pruned)} trials were pruned, which saved {saved} epochs" in text
    assert f"{len(audited)} trials that would have been pruned were trained to their ends" in text
