"""Asking and judging, on a real ledger: budget, resumed draws, pruning, divergence, retries."""

import pytest

from optbench.job import CHANCE, Epoch, Verdict
from optbench.storage import Ending, Ledger, find_study, open_storage, open_study, trials
from optbench.study import Study, make_pruner, make_sampler
from optbench.sweep import Strategy
from tests.conftest import sweep_of


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


def study_of(storage, **changes):
    sweep = sweep_of(**changes)
    study_id, _ = open_study(storage, sweep.name, "validation accuracy", {"trials": sweep.trials})
    return Study(sweep, Ledger(storage, study_id), "lanes")


def epoch(n, accuracy, loss=0.5):
    return Epoch(n, loss, accuracy, loss, accuracy, 0.1)


def finish(study, job, value=0.5, verdict=Verdict.COMPLETE, epochs=2):
    for n in range(1, epochs + 1):
        study.judge(job, epoch(n, value))
        study.record({job.number: epoch(n, value)}, {})
    study.record({}, {job.number: Ending(verdict, value, {"epochs": epochs, "diverged": False})})


def rows(storage):
    return trials(storage, find_study(storage, "tiny"))


def test_the_total_is_exact_over_restarts(storage):
    first = study_of(storage, trials=5)
    for _ in range(3):
        finish(first, first.ask("adadelta", 1))
    second = study_of(storage, trials=5)
    for _ in range(2):
        finish(second, second.ask("adadelta", 1))
    assert second.ask("adadelta", 1) is None
    assert study_of(storage, trials=5).ask("adadelta", 1) is None
    assert [row.state for row in rows(storage)] == ["complete"] * 5


def test_a_restart_draws_anew(storage):
    drawn = []
    for _ in range(4):
        study = study_of(storage)
        job = study.ask("adadelta", 1)
        drawn.append(job.hyper["learning_rate"])
        finish(study, job)
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("name", ["random", "qmc", "grid"])
def test_a_restart_carries_a_design_on(storage, name):
    sampler = {"name": name}
    one = study_of(storage, sampler=sampler)
    finish(one, one.ask("adadelta", 1))
    two = study_of(storage, sampler=sampler)
    finish(two, two.ask("adadelta", 1))
    whole = study_of(storage, sampler=sampler, name="whole", trials=2)
    jobs = [whole.ask("adadelta", 1) for _ in range(2)]
    assert [row.hyperparameters for row in rows(storage)] == [job.hyper for job in jobs]


def test_an_interrupted_trial_is_tried_again_with_the_same_parameters_and_seed(storage):
    study = study_of(storage)
    job = study.ask("adadelta", 1)
    study.record({}, {job.number: Ending(Verdict.INTERRUPTED, None, {"reason": "interrupted"})})
    again = study_of(storage).ask("adadelta", 1)
    assert again.number == 1
    assert (again.hyper, again.seed) == (job.hyper, job.seed)


def test_parameters_that_fail_three_times_are_given_up(storage):
    study, tried = study_of(storage), []
    for _ in range(4):
        job = study.ask("adadelta", 1)
        tried.append(job.hyper)
        study.record({}, {job.number: Ending(Verdict.INTERRUPTED, None, {"reason": "interrupted"})})
    assert tried[0] == tried[1] == tried[2] != tried[3]


def test_fixed_trials_run_first_and_are_never_pruned(storage):
    study = study_of(
        storage,
        trials=8,
        epochs=3,
        trial=[{"learning_rate": 0.5, "label": "mine"}],
        pruner={"name": "successive_halving"},
    )
    job = study.ask("adadelta", 4)
    assert job.hyper["learning_rate"] == 0.5
    for _ in range(3):
        finish(study, study.ask("adadelta", 4), value=0.9, epochs=3)
    assert study.judge(job, epoch(1, 0.0)) is Verdict.CONTINUE
    assert rows(storage)[0].label == "mine"


def test_weak_trials_are_pruned_after_the_warm_up_and_strong_ones_are_not(storage):
    pruner = {"name": "median", "n_startup_trials": 3, "n_min_trials": 3, "n_warmup_steps": 2}
    study = study_of(storage, epochs=5, trials=9, pruner=pruner)
    for _ in range(3):
        finish(study, study.ask("adadelta", 1), value=0.8, epochs=5)
    weak, strong = study.ask("adadelta", 1), study.ask("adadelta", 1)
    assert [study.judge(weak, epoch(n, 0.2)) for n in (1, 2)] == [Verdict.CONTINUE, Verdict.PRUNED]
    assert [study.judge(strong, epoch(n, 0.9)) for n in (1, 2)] == [Verdict.CONTINUE, Verdict.CONTINUE]


def test_divergence_is_a_result(storage):
    study = study_of(storage)
    job = study.ask("adadelta", 1)
    lost = epoch(1, 0.1, loss=float("nan"))
    assert study.judge(job, lost) is Verdict.DIVERGED
    study.record({job.number: lost}, {job.number: Ending(Verdict.DIVERGED, CHANCE, {"epochs": 1, "diverged": True})})
    assert [(row.state, row.value) for row in rows(storage)] == [("diverged", CHANCE)]
    assert study.memory.get_all_trials(study.study_id)[0].value == CHANCE


def test_two_workers_share_the_budget_and_see_each_others_trials(storage):
    one, two = study_of(storage, trials=4), study_of(storage, trials=4)
    jobs = [one.ask("adadelta", 1), two.ask("adadelta", 1), one.ask("adadelta", 1)]
    finish(two, jobs[1], value=0.9)
    last = one.ask("adadelta", 1)
    assert [job.number for job in [*jobs, last]] == [0, 1, 2, 3]
    assert two.ask("adadelta", 1) is None
    assert one.memory.get_all_trials(one.study_id)[1].value == 0.9
    assert one.others_run()


def test_each_optimizer_of_a_list_gets_its_own_trials(storage):
    listed = [{"optimizer": "adam", "seeds": [0, 1]}, {"optimizer": "adadelta"}]
    study = study_of(storage, space=None, trials=None, optimizer=None, trial=listed)
    assert study.ask("adadelta", 1).optimizer == "adadelta"
    assert [study.ask("adam", 1).seed for _ in range(2)] == [0, 1]
    assert study.ask("adam", 1) is None


@pytest.mark.parametrize("name", ["median", "hyperband", "successive_halving", "none"])
def test_every_pruner_can_be_built(name):
    pruner = sweep_of(pruner={"name": name}).pruner
    assert make_pruner(pruner, 10) is not None
    assert isinstance(pruner, Strategy)


def test_the_sampler_seed_depends_on_the_trials_that_exist():
    sweep = sweep_of()
    draws = [make_sampler(sweep, existing)._random_sampler._rng.rng.random() for existing in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
